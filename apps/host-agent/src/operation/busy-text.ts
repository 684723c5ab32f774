import { AgentError } from '../agent-error.ts'
import type { RunningMachines } from './lent-machine.ts'

/** Does something with a VM; where its lock is held by its own QEMU here the AgentError `vm-busy` says so. */
export async function sayingWhyBusy<Result>(
  machines: Pick<RunningMachines, 'isPoweredOn'>,
  vm: { readonly vmId: string; readonly name: string },
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'vm-busy' || !machines.isPoweredOn(vm.vmId)) throw error
    throw new AgentError('vm-busy', `VM ${vm.name} is powered on; power it off first`, { cause: error })
  }
}
