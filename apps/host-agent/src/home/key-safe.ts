import type { EncryptionAuthority, KeyReference } from '@cryptvisor/host-agent-api'
import {
  type Authority,
  inspectRecord,
  type NamedKek,
  type RecordHeader,
  recordSizeMax,
  unwrapDek,
  wrapDek,
} from '@cryptvisor/key-record'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { kidOf } from '../key-cache.ts'

/** The file with the key record of VM Home's DEK. */
export const keySafeName = 'vm.keysafe'

const firstRecordGeneration = 1

/** VM Home's DEK and its key record. */
export interface HomeKey {
  readonly dek: Secret
  readonly record: string
  readonly header: RecordHeader
}

/** The same, out of a key safe. Disposing of it wipes the DEK. */
export interface OpenHomeKey extends HomeKey, Disposable {}

/** Wraps the DEK of a new VM Home; it stays the caller's. */
export async function newHomeKey(vmId: string, kek: NamedKek, dek: Secret): Promise<HomeKey> {
  const header = { kind: 'vm-home', vmId, generation: firstRecordGeneration } as const
  return { dek, header, record: await wrapDek({ dek, keks: [kek], header }) }
}

/** What the control plane will know of the encryption of a VM Home with a new key. */
export function newHomeEncryption(key: KeyReference): EncryptionAuthority {
  return { keys: [key], generation: firstRecordGeneration, luksUuid: null }
}

/** Puts a new key safe into the VM's folder, durably, and makes sure that it reads back and opens. */
export async function writeKeySafe(folder: Folder, vmId: string, key: HomeKey, kek: NamedKek): Promise<void> {
  await folder.write(keySafeName, Buffer.from(key.record))
  const expected: Authority = { kind: 'vm-home', vmId, kids: [kek.kid], generationMin: firstRecordGeneration }
  const bytes = await folder.readBack(keySafeName, recordSizeMax)
  if (bytes?.toString('utf8') !== key.record) {
    throw new AgentError('verification-failed', `${folder.path}/${keySafeName}: does not read back as it was written`)
  }
  const { dek } = await unwrapDek(key.record, kek, expected)
  using found = dek
  if (!found.equal(key.dek)) throw new AgentError('internal', 'a key record opens to another DEK')
}

/**
 * Opens the key safe of a VM whose VM Home the control plane knows as `encryption` says. Throws KeyRecordError, or
 * AgentError: `file-missing`, `key-not-held`.
 */
export async function openKeySafe(
  folder: Folder,
  vmId: string,
  encryption: EncryptionAuthority,
  keks: readonly NamedKek[],
): Promise<OpenHomeKey> {
  const record = await readKeySafe(folder)
  const { kids } = inspectRecord(record)
  const kek = keks.find(({ kid }) => kids.includes(kid))
  if (kek === undefined) {
    throw new AgentError(
      'key-not-held',
      `VM Home: its key safe names ${kids.join(', ')}, which this host does not hold`,
    )
  }
  const { dek, header } = await unwrapDek(record, kek, homeAuthorityOf(vmId, encryption))
  return homeKey(dek, header, record)
}

/** What the key record of a VM Home has to be. */
export function homeAuthorityOf(vmId: string, { keys, generation }: EncryptionAuthority): Authority {
  return { kind: 'vm-home', vmId, kids: keys.map(kidOf), generationMin: generation }
}

async function readKeySafe(folder: Folder): Promise<string> {
  const bytes = await folder.read(keySafeName, recordSizeMax)
  if (bytes === null) throw new AgentError('file-missing', `${folder.path}/${keySafeName}: is missing`)
  return bytes.toString('utf8')
}

function homeKey(dek: Secret, header: RecordHeader, record: string): OpenHomeKey {
  return { dek, header, record, [Symbol.dispose]: () => dek[Symbol.dispose]() }
}
