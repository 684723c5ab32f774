import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { StorageFile } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import type { Datastores } from '../datastore/datastores.ts'
import type { Folder } from '../datastore/folder.ts'
import { differenceOf, readVmDocument, type VmDocument } from '../datastore/vm-document.ts'
import { lockVm } from '../datastore/vm-lock.ts'
import type { OperationHost } from './host.ts'
import { bearsRunning, type LentMachine } from './lent-machine.ts'

/** A VM's place on its datastore, which nobody else works on. Disposing of it closes and unlocks it. */
export interface VmSite extends AsyncDisposable {
  readonly datastore: Folder
  readonly folder: Folder
  /** What runs the VM, and so has its lock; `null`: it does not run. */
  readonly machine: LentMachine | null
}

/** One that we have the lock of. */
export interface LockedVmSite extends VmSite {
  readonly machine: null
  /** The open file that has the lock. */
  readonly lock: StorageFile
}

/**
 * Opens and locks the folder of a VM; `null` when there is none, and that is durable: an earlier try may have removed it and
 * not come to its sync. Throws AgentError, `vm-busy` among others.
 */
export async function openVmSite(datastores: Datastores, vm: VmAuthority): Promise<LockedVmSite | null> {
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
  return { datastore, folder, machine: null, lock, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** The same; a missing folder is AgentError `file-missing`. */
export async function requireVmSite(datastores: Datastores, vm: VmAuthority): Promise<LockedVmSite> {
  return (await openVmSite(datastores, vm)) ?? missing(vm)
}

/**
 * Opens the folder of a VM for an operation of this kind: where the VM runs here, and the operation bears that, with the machine instead of
 * the lock. `null` and what it throws are as of `openVmSite`.
 */
export async function openSiteFor(
  { datastores, machines }: Pick<OperationHost, 'datastores' | 'machines'>,
  operation: Parameters<typeof bearsRunning>[0],
  vm: VmAuthority,
): Promise<VmSite | null> {
  using stack = new DisposableStack()
  const machine = bearsRunning(operation) ? await machines.lend(vm.vmId) : null
  if (machine === null) return await openVmSite(datastores, vm)
  stack.use(machine)
  const site = await openRunningSite(datastores, vm, machine)
  stack.move()
  return site
}

/** The same; a missing folder is AgentError `file-missing`. */
export async function requireSiteFor(...[host, operation, vm]: Parameters<typeof openSiteFor>): Promise<VmSite> {
  return (await openSiteFor(host, operation, vm)) ?? missing(vm)
}

async function openRunningSite(datastores: Datastores, vm: VmAuthority, machine: LentMachine): Promise<VmSite> {
  const { datastorePath, folder: name } = machine.vm
  if (vm.datastorePath !== datastorePath || vm.folder !== name) {
    throw new AgentError(
      'datastore-mismatch',
      `VM ${vm.name} runs from ${datastorePath}/${name}, the control plane knows ${vm.datastorePath}/${vm.folder}`,
    )
  }
  await using stack = new AsyncDisposableStack()
  const datastore = stack.use(await datastores.open(vm))
  const folder = stack.use((await datastore.folder(vm.folder)) ?? missing(vm))
  const open = stack.move()
  return {
    datastore,
    folder,
    machine,
    [Symbol.asyncDispose]: async () => {
      using _machine = machine
      await open.disposeAsync()
    },
  }
}

function missing(vm: VmAuthority): never {
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
