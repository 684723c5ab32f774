import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { Datastores } from '../datastore/datastores.ts'
import { freshName } from '../datastore/folder.ts'
import { lockVm, vmLockName } from '../datastore/vm-lock.ts'
import { removeAll } from './clean.ts'
import { creatingName } from './create-vm.ts'
import { refused } from './plan.ts'
import type { LockedVmSite, VmSite } from './vm-site.ts'

/**
 * Makes and locks the folder of a new VM; a marker in it names the operation until the VM is committed. Throws AgentError
 * `refused` when anything is there already.
 */
export async function createVmSite(
  datastores: Datastores,
  vm: VmAuthority,
  operationId: string,
): Promise<LockedVmSite> {
  await using stack = new AsyncDisposableStack()
  const datastore = stack.use(await datastores.open(vm))
  if (await datastore.has(vm.folder)) {
    throw refused(`folder: ${datastore.path}/${vm.folder} exists already; choose another name, or move it away`)
  }
  const folder = stack.use(await datastore.makeFolder(vm.folder))
  try {
    await folder.write(creatingName, Buffer.from(`${operationId}\n`))
    const lock = stack.use(await lockVm(folder))
    const open = stack.move()
    return { datastore, folder, machine: null, lock, [Symbol.asyncDispose]: () => open.disposeAsync() }
  } catch (error) {
    await removeAll(folder, [...emptyNames, creatingName])
    await datastore.removeFolder(vm.folder)
    throw error
  }
}

/** What may lie in a folder before its marker does. */
const emptyNames = [vmLockName, freshName(creatingName)]

/** Whether a folder is one that this operation began to make: its marker says so, or there is nothing in it yet. */
export async function isCreatedBy(folder: VmSite['folder'], operationId: string): Promise<boolean> {
  const marker = await folder.read(creatingName, 128)
  if (marker !== null) return marker.toString('utf8').trim() === operationId
  return (await folder.names()).every((name) => emptyNames.includes(name))
}
