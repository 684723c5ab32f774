import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { StorageFile } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import type { Datastores } from '../datastore/datastores.ts'
import type { Folder } from '../datastore/folder.ts'
import { differenceOf, readVmDocument, type VmDocument } from '../datastore/vm-document.ts'
import { lockVm } from '../datastore/vm-lock.ts'

/** A VM's place on its datastore, locked for one operation. Disposing of it closes and unlocks it. */
export interface VmSite extends AsyncDisposable {
  readonly datastore: Folder
  readonly folder: Folder
  /** The open file that has the lock. */
  readonly lock: StorageFile
}

/**
 * Opens and locks the folder of a VM; `null` when there is none, and that is durable: an earlier try may have removed it and
 * not come to its sync. Throws AgentError, `vm-busy` among others.
 */
export async function openVmSite(datastores: Datastores, vm: VmAuthority): Promise<VmSite | null> {
  await using stack = new AsyncDisposableStack()
  const datastore = stack.use(await datastores.open(vm))
  const folder = await datastore.folder(vm.folder)
  if (folder === null) {
    await datastore.sync()
    return null
  }
  stack.use(folder)
  const lock = stack.use(await lockVm(folder))
  const open = stack.move()
  return { datastore, folder, lock, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** The same; a missing folder is AgentError `file-missing`. */
export async function requireVmSite(datastores: Datastores, vm: VmAuthority): Promise<VmSite> {
  const site = await openVmSite(datastores, vm)
  if (site !== null) return site
  throw new AgentError('file-missing', `${vm.datastorePath}/${vm.folder}: the VM’s folder is missing`)
}

/** Reads `vm.json` as far as it agrees with the control plane. Throws AgentError `file-missing`, `datastore-mismatch`. */
export async function agreedDocument(folder: Folder, vm: VmAuthority): Promise<VmDocument> {
  const document = await readVmDocument(folder)
  if (document === null) throw new AgentError('file-missing', `${folder.path}/vm.json: is missing`)
  const difference = differenceOf(document, vm)
  if (difference !== null) throw new AgentError('datastore-mismatch', `${folder.path}/vm.json: ${difference}`)
  return document
}
