import type { EncryptionAuthority, KeyReference } from '@cryptvisor/host-agent-api'
import {
  type Authority,
  inspectRecord,
  KeyRecordError,
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

/** The file with the key record that takes its place once an operation is committed. */
export const nextKeySafeName = 'vm.keysafe.next'

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
export async function newHomeKey(
  vmId: string,
  kek: NamedKek,
  dek: Secret,
  generation: number = firstRecordGeneration,
): Promise<HomeKey> {
  const header = { kind: 'vm-home', vmId, generation } as const
  return { dek, header, record: await wrapDek({ dek, keks: [kek], header }) }
}

/** What the control plane will know of the encryption of a VM Home with a new key. */
export function newHomeEncryption(key: KeyReference): EncryptionAuthority {
  return { keys: [key], generation: firstRecordGeneration, luksUuid: null }
}

/** The same after a new key record was written under `key`, with another DEK or the same. */
export function nextHomeEncryption({ generation }: EncryptionAuthority, key: KeyReference): EncryptionAuthority {
  return { keys: [key], generation: generation + 1, luksUuid: null }
}

/** Puts a new key safe into the VM's folder, durably, and makes sure that it reads back and opens. */
export async function writeKeySafe(folder: Folder, vmId: string, key: HomeKey, kek: NamedKek): Promise<void> {
  await writeChecked(folder, keySafeName, vmId, key, kek)
}

/**
 * Puts the key safe that is to come beside the one that counts, durably, and makes sure that it reads back and opens with
 * `kek`, the only one that it may name.
 */
export async function writeNextKeySafe(folder: Folder, vmId: string, key: HomeKey, kek: NamedKek): Promise<void> {
  await writeChecked(folder, nextKeySafeName, vmId, key, kek)
}

/**
 * Makes `record`, an authentic one, the key safe, durably, and makes sure that it reads back; what lies there as the next
 * one goes, whatever it is. Does no harm when done again.
 */
export async function keepKeySafe(folder: Folder, record: string): Promise<void> {
  await writeRecord(folder, keySafeName, record)
  await folder.remove(nextKeySafeName)
  await folder.sync()
}

/** Puts the key safe that was to come in the place of the old one, durably. Does no harm when done again. */
export async function promoteKeySafe(folder: Folder): Promise<void> {
  await folder.replace(keySafeName, nextKeySafeName)
}

/**
 * Opens the key safe of a VM whose VM Home the control plane knows as `encryption` says. Between a commit and its end that
 * is the next one, if it is what the control plane says and the other is not. Throws KeyRecordError, or AgentError:
 * `file-missing`, `key-not-held`.
 */
export async function openKeySafe(
  folder: Folder,
  vmId: string,
  encryption: EncryptionAuthority,
  keks: readonly NamedKek[],
): Promise<OpenHomeKey> {
  try {
    const key = await openNamed(folder, keySafeName, vmId, encryption, keks)
    if (key !== null) return key
  } catch (error) {
    if (!(error instanceof KeyRecordError || error instanceof AgentError)) throw error
    const next = await openNextKeySafe(folder, vmId, encryption, keks).catch((nextError: unknown) => {
      // That one of the two is for other KEKs says nothing; what is wrong with the one that is for these does.
      throw isForOthers(nextError) ? error : nextError
    })
    if (next !== null) return next
    throw error
  }
  const next = await openNextKeySafe(folder, vmId, encryption, keks)
  if (next !== null) return next
  throw new AgentError('file-missing', `${folder.path}/${keySafeName}: is missing`)
}

/** Opens the key safe that is to come, as `openKeySafe` does; `null` when there is none. */
export async function openNextKeySafe(
  folder: Folder,
  vmId: string,
  encryption: EncryptionAuthority,
  keks: readonly NamedKek[],
): Promise<OpenHomeKey | null> {
  return await openNamed(folder, nextKeySafeName, vmId, encryption, keks)
}

/** What the key record of a VM Home has to be. */
export function homeAuthorityOf(vmId: string, { keys, generation }: EncryptionAuthority): Authority {
  return { kind: 'vm-home', vmId, kids: keys.map(kidOf), generationMin: generation }
}

async function writeChecked(folder: Folder, name: string, vmId: string, key: HomeKey, kek: NamedKek): Promise<void> {
  await writeRecord(folder, name, key.record)
  const expected: Authority = { kind: 'vm-home', vmId, kids: [kek.kid], generationMin: key.header.generation }
  const { dek } = await unwrapDek(key.record, kek, expected)
  using found = dek
  if (!found.equal(key.dek)) throw new AgentError('internal', 'a key record opens to another DEK')
}

async function writeRecord(folder: Folder, name: string, record: string): Promise<void> {
  await folder.write(name, Buffer.from(record))
  const bytes = await folder.readBack(name, recordSizeMax)
  if (bytes?.toString('utf8') === record) return
  throw new AgentError('verification-failed', `${folder.path}/${name}: does not read back as it was written`)
}

/** Opens one of the two key safes; `null` when it is not there. */
async function openNamed(
  folder: Folder,
  name: string,
  vmId: string,
  encryption: EncryptionAuthority,
  keks: readonly NamedKek[],
): Promise<OpenHomeKey | null> {
  const bytes = await folder.read(name, recordSizeMax)
  if (bytes === null) return null
  const record = bytes.toString('utf8')
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

function homeKey(dek: Secret, header: RecordHeader, record: string): OpenHomeKey {
  return { dek, header, record, [Symbol.dispose]: () => dek[Symbol.dispose]() }
}

/** Whether a key safe did not open since it is made for other KEKs than those at hand, or known. */
function isForOthers(error: unknown): boolean {
  if (error instanceof AgentError) return error.code === 'key-not-held'
  return error instanceof KeyRecordError && error.code === 'foreign-kid'
}
