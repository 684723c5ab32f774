import type { StorageFile } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import type { Folder } from './folder.ts'

/** Its name in the VM's folder. */
export const vmLockName = 'vm.lock'

/**
 * Takes `vm.lock`, so that no other host works on the VM; disposing of the result gives it back. The lock belongs to the
 * open file, and so also ends with us: after a crash nobody waits. Throws AgentError `vm-busy` when another holds it, `io`
 * where the storage has no locks.
 */
export async function lockVm(folder: Folder): Promise<StorageFile> {
  const lock = await folder.lock(vmLockName)
  if (lock !== null) return lock
  const path = `${folder.path}/${vmLockName}`
  throw new AgentError('vm-busy', `${path}: another host or operation works on this VM; wait until it is done`)
}
