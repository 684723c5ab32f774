import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import type { KeyStateCheck } from '../policies/key-state-check.ts'
import { stopOf } from '../policies/revocation-rows.ts'
import { requireConnection, requireIdle, requireNotStopped } from './change-request.ts'
import type { LockStates } from './lock-states.ts'
import { findVm } from './lookup.ts'
import { authorityOf, keysOf, type VmRecord } from './vm-store.ts'

/** Unlocks one VM because somebody asks for it. */
export class VmUnlock {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #locks: LockStates
  readonly #keyStates: KeyStateCheck

  constructor(work: WorkContext, handOver: HandOver, locks: LockStates, keyStates: KeyStateCheck) {
    this.#work = work
    this.#handOver = handOver
    this.#locks = locks
    this.#keyStates = keyStates
  }

  /**
   * Fetches those of the VM's keys that its host does not hold, hands them over, and has it open the VM. Throws
   * `key-missing`, `kms-unreachable` and the like, their events recorded; that the VM stays locked for another reason is
   * no error, it is in the VM's lock state.
   */
  async unlock(principal: Principal, nameOrId: string): Promise<void> {
    const vm = await findVm(this.#work.database, nameOrId)
    requireIdle(vm)
    await this.#requireGoodKey(vm, principal)
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
      await this.#locks.ask(connection, vm, principal.name, () => failure)
    } catch (error) {
      if (!(error instanceof RestClientError)) throw error
      failure ??= new ControlPlaneError('agent-failed', `host ${host.name}: ${error.message}`, { cause: error })
    }
    if (failure === null) return
    const text = `VM ${vm.row.name} stays locked: ${failure.message}`
    throw new ControlPlaneError(failure.code, text, { cause: failure })
  }

  /** One that is stopped, since its key was revoked, is opened when its provider says that the key is good again. */
  async #requireGoodKey(vm: VmRecord, principal: Principal): Promise<void> {
    const stop = await stopOf(this.#work.database, vm.row.id)
    if (stop === null) return
    const purpose = { host: vm.hostName, vm: vm.row.name, user: principal.name, task: null }
    await this.#keyStates.stateOf({ provider: stop.provider, keyId: stop.key_id }, purpose)
    await requireNotStopped(this.#work.database, vm)
  }
}
