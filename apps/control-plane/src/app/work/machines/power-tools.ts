import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import type { HostKeys } from '../keys/host-keys.ts'

/** What the tasks that change the power of VMs work with. */
export interface PowerTools {
  readonly work: WorkContext
  readonly handOver: HandOver
  readonly hostKeys: HostKeys
  /** A task on a host's VM has ended: what was not looked at meanwhile is; `inDoubt`: the machines, too. */
  readonly lookAgain: (hostId: string, inDoubt: boolean) => Promise<void>
}
