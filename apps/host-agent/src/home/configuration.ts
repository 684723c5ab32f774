import { VmDetails } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { associatedDataOf, homeKeyOf, seal, unseal } from '@cryptvisor/sealed-file'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { parseJson } from '../datastore/json-file.ts'

/** The folder below a VM's that holds its sealed files. */
export const homeFolderName = 'home'

/** Notes have 4096 characters of up to 6 bytes in JSON; sealing adds little. */
const configurationSizeMax = 65_536

const namePattern = /^config\.\d{1,16}\.(json|sealed)$/

const problemOf = shapeCheck(VmDetails, 'configuration')

/** What opens the configuration of a VM Home: its VM and its DEK; a `null` DEK means that it lies there plain. */
export interface HomeAccess {
  readonly vmId: string
  readonly dek: Secret | null
}

/** Opens `home/` of a VM that exists. Throws AgentError `file-missing`. */
export async function requireHome(folder: Folder): Promise<Folder> {
  const home = await folder.folder(homeFolderName)
  if (home === null) throw new AgentError('file-missing', `${folder.path}/${homeFolderName}: is missing`)
  return home
}

/** The name in `home/` of the configuration that was written with that generation of `vm.json`. */
export function configurationName(generation: number, sealed: boolean): string {
  return `config.${generation}.${sealed ? 'sealed' : 'json'}`
}

/** Whether a name in `home/` is that of a configuration, of any generation, or of one half written. */
export function isConfigurationName(name: string): boolean {
  return namePattern.test(name.replace(/\.new$/, ''))
}

/** Writes the configuration of a generation, durably, and makes sure that it reads back. */
export async function writeConfiguration(
  home: Folder,
  generation: number,
  details: VmDetails,
  access: HomeAccess,
): Promise<void> {
  const name = configurationName(generation, access.dek !== null)
  const plain = Buffer.from(`${JSON.stringify(details, null, 2)}\n`)
  if (access.dek === null) {
    await home.write(name, plain)
  } else {
    using key = homeKeyOf(access.dek)
    await home.write(name, seal({ key, associatedData: associatedDataOf(access.vmId, name) }, plain))
  }
  const found = open(await home.readBack(name, configurationSizeMax), home, name, access)
  if (!plain.equals(found)) {
    throw new AgentError('verification-failed', `${home.path}/${name}: does not read back as it was written`)
  }
}

/**
 * Reads the configuration of a generation. Throws AgentError `file-missing`, or `datastore-mismatch` when it is none;
 * SealedFileError when it does not open.
 */
export async function readConfiguration(home: Folder, generation: number, access: HomeAccess): Promise<VmDetails> {
  const name = configurationName(generation, access.dek !== null)
  const bytes = open(await home.read(name, configurationSizeMax), home, name, access)
  // Just checked against the schema that the type comes from.
  return parseJson(bytes, `${home.path}/${name}`, problemOf) as VmDetails
}

function open(bytes: Buffer | null, home: Folder, name: string, { vmId, dek }: HomeAccess): Buffer {
  if (bytes === null) throw new AgentError('file-missing', `${home.path}/${name}: is missing`)
  if (dek === null) return bytes
  using key = homeKeyOf(dek)
  return Buffer.from(unseal({ key, associatedData: associatedDataOf(vmId, name) }, bytes))
}
