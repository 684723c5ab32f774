import type { BrowseDatastore, FoundFolder, FoundFolders, FoundVm, InspectVm } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Datastores } from '../datastore/datastores.ts'
import type { Folder } from '../datastore/folder.ts'
import { readVmDocument, type VmDocument, vmDocumentName } from '../datastore/vm-document.ts'
import { readJournal } from './journal.ts'

/** As the API names a VM's folder. */
const folderPattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$/

/**
 * The folders directly below a datastore that have a `vm.json`, by name. A link, and what is no folder of a VM, is left out.
 * Throws AgentError for a datastore that is refused or missing.
 */
export async function browseDatastore(datastores: Datastores, request: BrowseDatastore): Promise<FoundFolders> {
  await using datastore = await datastores.open(request)
  const folders: FoundFolder[] = []
  for (const name of (await datastore.names()).toSorted()) {
    if (!folderPattern.test(name)) continue
    const found = await lookInto(datastore, name)
    if (found !== null) folders.push(found)
  }
  return { folders }
}

/** What the `vm.json` of one folder says. Throws AgentError `file-missing`, `datastore-mismatch`. */
export async function inspectVm(datastores: Datastores, request: InspectVm): Promise<FoundVm> {
  const { datastorePath, folder: name } = request
  await using datastore = await datastores.open(request)
  await using folder = await datastore.folder(name)
  const document = folder === null ? null : await readVmDocument(folder)
  if (folder === null || document === null) {
    throw new AgentError('file-missing', `${datastorePath}/${name}/${vmDocumentName}: is missing`)
  }
  const { vmId, generation, policy, encryption, disks } = document
  return {
    vm: { vmId, name: document.name, datastorePath, folder: name, generation, policy, encryption, disks },
    unfinishedOperation: await unfinishedIn(folder),
  }
}

/** `null`: no folder, or one without a `vm.json`. */
async function lookInto(datastore: Folder, name: string): Promise<FoundFolder | null> {
  try {
    await using folder = await datastore.folder(name)
    const document = folder === null ? null : await readVmDocument(folder)
    return document === null ? null : { folder: name, vm: summaryOf(document), problem: null }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error
    if (await isFolder(datastore, name)) return { folder: name, vm: null, problem: error.message }
    return null
  }
}

async function isFolder(datastore: Folder, name: string): Promise<boolean> {
  try {
    await using folder = await datastore.folder(name)
    return folder !== null
  } catch {
    return false
  }
}

function summaryOf({ vmId, name, generation, encryption, disks }: VmDocument): NonNullable<FoundFolder['vm']> {
  const encrypted = encryption !== null || disks.some((disk) => disk.encryption !== null)
  return { vmId, name, generation, encrypted, diskCount: disks.length }
}

/** A journal that cannot be read is not at its end either. */
async function unfinishedIn(folder: Folder): Promise<string | null> {
  try {
    const journal = await readJournal(folder)
    return journal === null || journal.content.state === 'cleaned' ? null : journal.content.operationId
  } catch (error) {
    if (error instanceof AgentError && error.code === 'datastore-mismatch') return 'unknown'
    throw error
  }
}
