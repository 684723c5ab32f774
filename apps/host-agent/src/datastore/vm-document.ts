import { isDeepStrictEqual } from 'node:util'
import { DiskAuthority, EncryptionAuthority, PolicyName, type VmAuthority } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import type { Folder } from './folder.ts'
import { readJsonFile } from './json-file.ts'

/**
 * `vm.json`: what a datastore says of a VM in plain text, enough to register it anywhere. A hint, never the authority.
 * The rename that puts it into place is the one commit of an operation.
 */
export const VmDocument = Type.Object(
  {
    version: Type.Literal(1),
    vmId: Type.String({ minLength: 1, maxLength: 64 }),
    name: Type.String({ minLength: 1, maxLength: 80 }),
    /** Counts the commits of this VM, from 1. */
    generation: Type.Integer({ minimum: 1 }),
    policy: PolicyName,
    home: Type.Object(
      { generation: Type.Integer({ minimum: 1, description: 'Names the file with the configuration details' }) },
      { additionalProperties: false },
    ),
    /** VM Home's; `null`: plain. */
    encryption: Type.Union([EncryptionAuthority, Type.Null()]),
    disks: Type.Array(DiskAuthority, { maxItems: 64 }),
  },
  { additionalProperties: false },
)
export type VmDocument = Static<typeof VmDocument>

/** Its name in the VM's folder. */
export const vmDocumentName = 'vm.json'

/** 64 disks with two keys of the longest names each take less. */
export const vmDocumentSizeMax = 262_144

const problemOf = shapeCheck(VmDocument, vmDocumentName)

/** Reads `vm.json`; `null` when there is none. Throws AgentError `datastore-mismatch` when it is not one of ours. */
export async function readVmDocument(folder: Folder): Promise<VmDocument | null> {
  // Just checked against the schema that the type comes from.
  return (await readJsonFile(folder, vmDocumentName, vmDocumentSizeMax, problemOf)) as VmDocument | null
}

/** Puts a new `vm.json` into place: the commit. */
export async function writeVmDocument(folder: Folder, document: VmDocument): Promise<void> {
  await folder.write(vmDocumentName, Buffer.from(`${JSON.stringify(document, null, 2)}\n`))
}

/** What `vm.json` says when the VM is as the control plane knows it. */
export function documentOf(vm: VmAuthority, homeGeneration: number): VmDocument {
  const { vmId, name, generation, policy, encryption, disks } = vm
  return { version: 1, vmId, name, generation, policy, home: { generation: homeGeneration }, encryption, disks }
}

/**
 * Where a `vm.json` departs from what the control plane knows, in words; `null` when they agree. Names and policies are
 * the control plane's alone and may have changed there.
 */
export function differenceOf(document: VmDocument, vm: VmAuthority): string | null {
  if (document.vmId !== vm.vmId) return `it belongs to VM ${document.vmId}, not ${vm.vmId}`
  if (document.generation !== vm.generation) {
    return document.generation < vm.generation
      ? `it has generation ${document.generation}, older than ${vm.generation}: was it restored from a backup?`
      : `it has generation ${document.generation}, newer than ${vm.generation}: an operation on it was not brought to its end`
  }
  if (document.home.generation > document.generation) return 'its home.generation is above its generation'
  const home = encryptionDifference(document.encryption, vm.encryption)
  if (home !== null) return `encryption: ${home}`
  return disksDifference(document.disks, vm.disks)
}

function disksDifference(found: readonly DiskAuthority[], known: readonly DiskAuthority[]): string | null {
  if (found.length !== known.length) return `disks: it has ${found.length}, the control plane knows ${known.length}`
  for (const [index, disk] of known.entries()) {
    const other = found.find(({ diskId }) => diskId === disk.diskId)
    if (other === undefined) return `disks: disk ${disk.diskId} is missing`
    for (const field of ['number', 'layerId', 'format', 'payloadBytes', 'virtualBytes', 'device'] as const) {
      if (other[field] !== disk[field]) {
        return `disks.${index}.${field}: it says ${other[field] ?? 'none'}, the control plane knows ${disk[field] ?? 'none'}`
      }
    }
    const difference = encryptionDifference(other.encryption, disk.encryption)
    if (difference !== null) return `disks.${index}.encryption: ${difference}`
  }
  return null
}

type Encryption = EncryptionAuthority | null

function encryptionDifference(found: Encryption, known: Encryption): string | null {
  if (found === null || known === null) {
    if (found === known) return null
    return found === null ? 'it is plain there, and encrypted for the control plane' : 'it is encrypted there only'
  }
  if (found.luksUuid !== known.luksUuid) return 'it names another LUKS UUID'
  if (found.generation < known.generation) {
    return `its key record’s generation is ${found.generation}, older than ${known.generation}`
  }
  return isDeepStrictEqual(keyNames(found), keyNames(known)) ? null : 'it names other keys'
}

function keyNames({ keys }: EncryptionAuthority): string[] {
  return keys.map(({ provider, keyId }) => JSON.stringify([provider, keyId])).toSorted()
}
