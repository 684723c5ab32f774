import type { VmAuthority, VmDetails } from '@cryptvisor/host-agent-api'
import type { NamedKek } from '@cryptvisor/key-record'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import type { VmDocument } from '../datastore/vm-document.ts'
import { homeFolderName, readConfiguration } from './configuration.ts'
import { openKeySafe } from './key-safe.ts'

/**
 * Reads a VM's configuration details, sealed or plain as the control plane says. Throws AgentError `file-missing`,
 * `key-not-held`, `datastore-mismatch`; KeyRecordError; SealedFileError.
 */
export async function openHome(
  folder: Folder,
  { vmId, encryption }: VmAuthority,
  document: VmDocument,
  keks: readonly NamedKek[],
): Promise<VmDetails> {
  await using home = await folder.folder(homeFolderName)
  if (home === null) throw new AgentError('file-missing', `${folder.path}/${homeFolderName}: is missing`)
  const { generation } = document.home
  if (encryption === null) return await readConfiguration(home, generation, { vmId, dek: null })
  using key = await openKeySafe(folder, vmId, encryption, keks)
  return await readConfiguration(home, generation, { vmId, dek: key.dek })
}
