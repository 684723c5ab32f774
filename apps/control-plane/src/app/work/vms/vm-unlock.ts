import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { requireConnection, requireIdle } from './change-request.ts'
import type { LockStates } from './lock-states.ts'
import { findVm } from './lookup.ts'
import { authorityOf, keysOf } from './vm-store.ts'

/** Unlocks one VM because somebody asks for it. */
export class VmUnlock {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #locks: LockStates

  constructor(work: WorkContext, handOver: HandOver, locks: LockStates) {
    this.#work = work
    this.#handOver = handOver
    this.#locks = locks
  }

  /**
   * Fetches those of the VM's keys that its host does not hold, hands them over, and has it open the VM. Throws
   * `key-missing`, `kms-unreachable` and the like, their events recorded; that the VM stays locked for another reason is
   * no error, it is in the VM's lock state.
   */
  async unlock(principal: Principal, nameOrId: string): Promise<void> {
    const vm = await findVm(this.#work.database, nameOrId)
    requireIdle(vm)
    const host = { id: vm.row.host_id, name: vm.hostName }
    const connection = requireConnection(this.#work, host)
    const purpose = { host: host.name, vm: vm.row.name, user: principal.name, task: null }
    let failure: ControlPlaneError | null = null
    try {
      await this.#handOver.ensureHeld(host, connection, keysOf(authorityOf(vm)), purpose)
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      failure = error
    }
    try {
      await this.#locks.ask(connection, vm, principal.name, () => failure?.message ?? null)
    } catch (error) {
      if (!(error instanceof RestClientError)) throw error
      failure ??= new ControlPlaneError('agent-failed', `host ${host.name}: ${error.message}`, { cause: error })
    }
    if (failure !== null) throw failure
  }
}
