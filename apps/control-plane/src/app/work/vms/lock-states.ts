import type { KeyReference, LockState } from '@cryptvisor/host-agent-api'
import type { VmRevocationRow } from '../../../database/policy-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { stopOf, stopText } from '../policies/revocation-rows.ts'
import { authorityOf, keysOf, type VmRecord } from './vm-store.ts'

/** What is known of whether a VM can be opened. */
export interface KnownLock {
  readonly state: 'unlocked' | 'locked' | 'unknown'
  readonly text: string | null
  readonly missingKeys: readonly KeyReference[]
}

/** Which events are recorded: of changes; of a change, and that it is locked in any case; or none. */
export type Telling = 'changes' | 'locked' | 'nothing'

/** Keeps what the hosts say of their VMs, and tells what changes. */
export class LockStates {
  readonly #work: WorkContext

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** Nothing is known of the VMs of a host that is not connected, or, without one, of any. */
  async forget(host: Pick<HostRow, 'id' | 'name'> | null): Promise<void> {
    let update = this.#work.database
      .updateTable('vm')
      .set({ lock_state: 'unknown', lock_text: 'its host is not connected', lock_missing_keys: '[]' })
    if (host !== null) update = update.where('host_id', '=', host.id)
    await update.execute()
  }

  /**
   * Has the host open the VM with the keys that it holds, and keeps what it says. `why` words why keys are missing, where
   * that is known. Throws `RestClientError` when the host cannot be asked.
   */
  async ask(
    connection: HostConnection,
    vm: VmRecord,
    user: string | null,
    why: (missing: readonly KeyReference[]) => string | null,
    telling: Telling = 'changes',
  ): Promise<LockState> {
    const stop = await stopOf(this.#work.database, vm.row.id)
    if (stop !== null) return this.#keepStopped(vm, stop, user)
    const lock = await connection.client.unlock(authorityOf(vm))
    const missingKeys = lock.reason?.missingKeys ?? []
    const reason = why(missingKeys)
    const text = lock.reason === null ? null : `${lock.reason.text}${reason === null ? '' : `: ${reason}`}`
    await this.keep(vm, { state: lock.state, text, missingKeys }, user, telling)
    return lock
  }

  /** It is stopped, since its key was revoked: its host is not asked, and may still hold the key for another VM. */
  async #keepStopped(vm: VmRecord, stop: VmRevocationRow, user: string | null): Promise<LockState> {
    const text = stopText(stop)
    const missingKeys = [{ provider: stop.provider, keyId: stop.key_id }]
    await this.keep(vm, { state: 'locked', text, missingKeys }, user)
    return { state: 'locked', reason: { code: 'key-not-held', text, missingKeys } }
  }

  /** Keeps what is known of a VM, unless a task has it or it is another one by now, and records its event. */
  async keep(vm: VmRecord, lock: KnownLock, user: string | null, telling: Telling = 'changes'): Promise<void> {
    const before = await this.#work.database.transaction().execute(async (transaction) => {
      const row = await transaction
        .selectFrom('vm')
        .select('lock_state')
        .where('id', '=', vm.row.id)
        .where('generation', '=', vm.row.generation)
        .where('host_id', '=', vm.row.host_id)
        .where('task_id', 'is', null)
        .executeTakeFirst()
      if (row === undefined) return null
      await transaction
        .updateTable('vm')
        .set({ lock_state: lock.state, lock_text: lock.text, lock_missing_keys: JSON.stringify(lock.missingKeys) })
        .where('id', '=', vm.row.id)
        .execute()
      return row.lock_state
    })
    if (before === null || telling === 'nothing') return
    const [key] = [...lock.missingKeys, ...keysOf(authorityOf(vm))]
    const named = { host: vm.hostName, vm: vm.row.name, provider: key?.provider ?? null, keyId: key?.keyId ?? null }
    if (lock.state === 'locked' && (before !== 'locked' || telling === 'locked')) {
      const text = `VM ${vm.row.name} is locked on host ${vm.hostName}: ${lock.text ?? 'its host does not say why'}`
      await this.#work.events.record({ type: 'vm.crypto.locked', ...named, text, user })
    } else if (lock.state === 'unlocked' && before === 'locked') {
      const text = `VM ${vm.row.name} is unlocked on host ${vm.hostName}`
      await this.#work.events.record({ type: 'vm.crypto.unlocked', ...named, text, user })
    }
  }
}
