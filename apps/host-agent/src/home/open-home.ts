import type { VmAuthority, VmDetails } from '@cryptvisor/host-agent-api'
import type { NamedKek } from '@cryptvisor/key-record'
import type { Folder } from '../datastore/folder.ts'
import type { VmDocument } from '../datastore/vm-document.ts'
import { readConfiguration, requireHome } from './configuration.ts'
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
  await using home = await requireHome(folder)
  const { generation } = document.home
  if (encryption === null) return await readConfiguration(home, generation, { vmId, dek: null })
  using key = await openKeySafe(folder, vmId, encryption, keks)
  return await readConfiguration(home, generation, { vmId, dek: key.dek })
}
