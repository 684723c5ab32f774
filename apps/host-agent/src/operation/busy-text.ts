import { AgentError } from '../agent-error.ts'

/** Whether a VM has a QEMU on this host. */
export type IsPoweredOn = (vmId: string) => boolean

/** Does something with a VM; where its lock is held by its own QEMU here the AgentError `vm-busy` says so. */
export async function sayingWhyBusy<Result>(
  isPoweredOn: IsPoweredOn,
  vm: { readonly vmId: string; readonly name: string },
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'vm-busy' || !isPoweredOn(vm.vmId)) throw error
    throw new AgentError('vm-busy', `VM ${vm.name} is powered on; power it off first`, { cause: error })
  }
}
