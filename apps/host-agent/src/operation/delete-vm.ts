import type { DeleteVm, VmAuthority } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { type Folder, freshName } from '../datastore/folder.ts'
import { readVmDocument, type VmDocument, vmDocumentName } from '../datastore/vm-document.ts'
import { vmLockName } from '../datastore/vm-lock.ts'
import { layerNames } from '../disk/layer-file.ts'
import { homeFolderName } from '../home/configuration.ts'
import { keySafeName, nextKeySafeName } from '../home/key-safe.ts'
import { removeAll, removeStaleConfigurations } from './clean.ts'
import { creatingName } from './create-vm.ts'
import type { OperationHost, Task } from './host.ts'
import { journalName, readJournal } from './journal.ts'
import { keptHeaderName } from './kept-header.ts'
import type { Recovery } from './recover-change.ts'
import { openVmSite, type VmSite } from './vm-site.ts'

type Request = Static<typeof DeleteVm>

/** Names of layers' files, and of what lies beside them. */
const layerFilePattern = /^[0-9A-Za-z-]{1,64}\.(raw|qcow2|luks|key|header)$/

/**
 * Removes a VM's files, also of a locked VM: no key is needed, and so no journal can be authentic. The commit is the removal
 * of `vm.json`. Only files that are ours by name go; where others lie in the folder they and it stay.
 */
export async function deleteVm(host: OperationHost, task: Task, { vm }: Request): Promise<null> {
  task.progress.begin('removing the VM’s files')
  await using site = await openVmSite(host.datastores, vm)
  if (site === null) return null
  const document = await ownDocument(site.folder, vm)
  task.signal.throwIfAborted()
  if (await site.folder.remove(vmDocumentName)) {
    await task.insist('removing vm.json', () => site.folder.sync())
  }
  await removeRest(task, site, vm, document)
  return null
}

/** Brings a deletion to its end: finished when `vm.json` is gone; else it had not begun. */
export async function recoverDeletion(host: OperationHost, task: Task, { vm }: Request): Promise<Recovery> {
  await using site = await openVmSite(host.datastores, vm)
  if (site === null) return { state: 'done', vm: null }
  if (await site.folder.has(vmDocumentName)) return { state: 'unknown' }
  await removeRest(task, site, vm, null)
  return { state: 'done', vm: null }
}

/** `vm.json` where it can be read, to know its files too. Throws AgentError `datastore-mismatch` for another VM's. */
async function ownDocument(folder: Folder, vm: VmAuthority): Promise<VmDocument | null> {
  let document: VmDocument | null
  try {
    document = await readVmDocument(folder)
  } catch (error) {
    // A damaged vm.json must not keep a VM from being deleted.
    if (error instanceof AgentError && error.code === 'datastore-mismatch') return null
    throw error
  }
  if (document !== null && document.vmId !== vm.vmId) {
    throw new AgentError('datastore-mismatch', `${folder.path}: belongs to VM ${document.vmId}; nothing was removed`)
  }
  return document
}

/**
 * The files of an operation that was not brought to its end, which may hold the VM's plaintext. Its journal is taken at its word
 * here as `vm.json` is: all of the folder that is ours goes. One that cannot be read must not keep a VM from being deleted.
 */
async function begunFiles(folder: Folder): Promise<string[]> {
  try {
    const content = (await readJournal(folder))?.content
    return [...(content?.makes ?? []), ...(content?.removes ?? [])].filter((name) => layerFilePattern.test(name))
  } catch (error) {
    if (error instanceof AgentError && error.code === 'datastore-mismatch') return []
    throw error
  }
}

async function removeRest(task: Task, site: VmSite, vm: VmAuthority, document: VmDocument | null): Promise<void> {
  const { datastore, folder } = site
  // A block device is left alone; what was kept of it while it was rewritten in place goes.
  const layers = [...vm.disks, ...(document?.disks ?? [])].flatMap((disk) =>
    disk.device === undefined ? layerNames(disk) : keptHeaderName(disk.layerId),
  )
  const names = [keySafeName, nextKeySafeName, creatingName, vmDocumentName]
  const empty = await task.insist('removing the VM’s files', async () => {
    const files = [...layers, ...(await begunFiles(folder)), ...names]
    await removeAll(
      folder,
      Array.from(new Set(files)).flatMap((name) => [name, freshName(name)]),
    )
    await removeStaleConfigurations(folder, null)
    await folder.removeFolder(homeFolderName)
    // Last, since it names files that may have to be removed again after a crash.
    await removeAll(folder, [journalName, freshName(journalName)])
    await removeAll(folder, [vmLockName])
    return await datastore.removeFolder(vm.folder)
  })
  task.progress.begin(empty ? 'done' : `done; ${folder.path} stays, since it holds files that are not the VM’s`)
}
