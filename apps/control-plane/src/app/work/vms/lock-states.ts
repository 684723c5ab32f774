import type { LockCause } from '@cryptvisor/control-plane-api'
import type { KeyReference, LockState } from '@cryptvisor/host-agent-api'
import type { VmRevocationRow } from '../../../database/policy-rows.ts'
import type { HostRow, VmRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { stopOf, stopText } from '../policies/revocation-rows.ts'
import { causeOf, lockedEvent, recordedCause } from './lock-cause.ts'
import { authorityOf, keysOf, type VmRecord } from './vm-store.ts'

/** What is known of whether a VM can be opened. */
export interface KnownLock {
  readonly state: 'unlocked' | 'locked' | 'unknown'
  readonly text: string | null
  readonly missingKeys: readonly KeyReference[]
  readonly cause: LockCause | null
}

/** The columns of a VM whose host has just opened every part of it. */
export const openNow = {
  ...{ lock_state: 'unlocked', lock_text: null, lock_missing_keys: '[]' },
  ...{ lock_cause: null, lock_since: null },
} as const satisfies Partial<VmRow>

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
    const since = this.#work.clock()
    const cause: LockCause = 'host-away'
    let update = this.#work.database.updateTable('vm').set(({ fn, val, ref }) => ({
      lock_state: 'unknown',
      lock_text: 'its host is not connected',
      lock_missing_keys: '[]',
      lock_cause: cause,
      lock_since: fn.coalesce(ref('lock_since'), val(since)),
    }))
    if (host !== null) update = update.where('host_id', '=', host.id)
    await update.execute()
  }

  /** Whether there is a VM of a host of which nobody knows whether it opens. */
  async isAnyUnknown(hostId: string): Promise<boolean> {
    const row = await this.#work.database
      .selectFrom('vm')
      .select('id')
      .where('host_id', '=', hostId)
      .where('lock_state', '=', 'unknown')
      .limit(1)
      .executeTakeFirst()
    return row !== undefined
  }

  /**
   * Has the host open the VM with the keys that it holds, and keeps what it says. `why` says why keys are missing, where
   * that is known. Throws `RestClientError` when the host cannot be asked.
   */
  async ask(
    connection: HostConnection,
    vm: VmRecord,
    user: string | null,
    why: (missing: readonly KeyReference[]) => ControlPlaneError | null,
    telling: Telling = 'changes',
  ): Promise<LockState> {
    const stop = await stopOf(this.#work.database, vm.row.id)
    if (stop !== null) return this.#keepStopped(vm, stop, user)
    const lock = await connection.client.unlock(authorityOf(vm))
    const missingKeys = lock.reason?.missingKeys ?? []
    const lacksKeys = lock.reason?.code === 'key-not-held'
    const reason = why(missingKeys) ?? (lacksKeys && !connection.cryptoSupported ? takesNoKeys(vm.hostName) : null)
    const text = lock.reason === null ? null : `${lock.reason.text}${reason === null ? '' : `: ${reason.message}`}`
    await this.keep(vm, { state: lock.state, text, missingKeys, cause: causeOf(lock, reason) }, user, telling)
    return lock
  }

  /** It is stopped, since its key was revoked: its host is not asked, and may still hold the key for another VM. */
  async #keepStopped(vm: VmRecord, stop: VmRevocationRow, user: string | null): Promise<LockState> {
    const text = stopText(stop)
    const missingKeys = [{ provider: stop.provider, keyId: stop.key_id }]
    await this.keep(vm, { state: 'locked', text, missingKeys, cause: 'key-revoked' }, user)
    return { state: 'locked', reason: { code: 'key-not-held', text, missingKeys } }
  }

  /** Keeps what is known of a VM, unless a task has it or it is another one by now, and records its event. */
  async keep(vm: VmRecord, found: KnownLock, user: string | null, telling: Telling = 'changes'): Promise<void> {
    const told = await this.#work.database.transaction().execute(async (transaction) => {
      const row = await transaction
        .selectFrom('vm')
        .select(['lock_state', 'lock_since', 'lock_cause', 'lock_text'])
        .where('id', '=', vm.row.id)
        .where('generation', '=', vm.row.generation)
        .where('host_id', '=', vm.row.host_id)
        .where('task_id', 'is', null)
        .executeTakeFirst()
      if (row === undefined) return null
      const lock = knowsMore(row, found) ? { ...found, cause: recordedCause(row), text: row.lock_text } : found
      await transaction
        .updateTable('vm')
        .set({
          lock_state: lock.state,
          lock_text: lock.text,
          lock_missing_keys: JSON.stringify(lock.missingKeys),
          lock_cause: lock.cause,
          lock_since: lock.state === 'unlocked' ? null : (row.lock_since ?? this.#work.clock()),
        })
        .where('id', '=', vm.row.id)
        .execute()
      return { before: row, lock }
    })
    if (told === null || telling === 'nothing') return
    const { before, lock } = told
    const [key] = [...lock.missingKeys, ...keysOf(authorityOf(vm))]
    const named = { host: vm.hostName, vm: vm.row.name, provider: key?.provider ?? null, keyId: key?.keyId ?? null }
    if (lock.state === 'locked' && (telling === 'locked' || isNews(before, lock))) {
      const text = `VM ${vm.row.name} is locked on host ${vm.hostName}: ${lock.text ?? 'its host does not say why'}`
      await this.#work.events.record({ type: lockedEvent(lock.cause), ...named, text, user })
    } else if (lock.state === 'unlocked' && before.lock_state === 'locked') {
      const text = `VM ${vm.row.name} is unlocked on host ${vm.hostName}`
      await this.#work.events.record({ type: 'vm.crypto.unlocked', ...named, text, user })
    }
  }
}

function takesNoKeys(host: string): ControlPlaneError {
  return new ControlPlaneError(
    'host-incapable',
    `host ${host} takes no keys: set «crypto» to «supported» in the configuration of its agent, and start it anew`,
  )
}

/** That a key is missing was known already, and why. */
function knowsMore(before: Pick<VmRow, 'lock_state' | 'lock_cause'>, { state, cause }: KnownLock): boolean {
  if (state !== 'locked' || before.lock_state !== 'locked' || cause !== 'key-missing-on-host') return false
  return before.lock_cause === 'key-missing-in-kms' || before.lock_cause?.startsWith('kms-') === true
}

/** It was open until now, or is locked for another reason. */
function isNews(before: Pick<VmRow, 'lock_state' | 'lock_cause'>, lock: KnownLock): boolean {
  return before.lock_state !== 'locked' || lockedEvent(recordedCause(before)) !== lockedEvent(lock.cause)
}
