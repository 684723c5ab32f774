import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'

/**
 * The machine of a VM that runs on this host, lent to one operation at a time. Its QEMU has the VM's lock; should it end, the VM counts as one
 * that runs until the machine is given back, so that nobody starts it elsewhere in the middle of an operation. Disposing of it gives it back.
 */
export interface LentMachine extends Disposable {
  /** The VM as it runs. */
  readonly vm: VmAuthority
  /** From now on the VM is this one. Never rejects. */
  becomes(vm: VmAuthority): Promise<void>
}

/** What runs of VMs on a host. */
export interface RunningMachines {
  /** Whether a VM has a QEMU here, or is about to. */
  isPoweredOn(vmId: string): boolean
  /** The machine of a VM; `null`: it does not run here. Rejects with AgentError `vm-busy` while it cannot be had. */
  lend(vmId: string): Promise<LentMachine | null>
}

/** Of a host where none can run. */
export const noMachines: RunningMachines = { isPoweredOn: () => false, lend: async () => null }

/** Whether an operation may be carried out while the VM runs. */
export function bearsRunning({ kind }: Pick<OperationRequest, 'kind'>): boolean {
  // QEMU reads a disk's header when it opens it, and key records lie in it where no guest gets to.
  return kind === 'shallow-rekey'
}
