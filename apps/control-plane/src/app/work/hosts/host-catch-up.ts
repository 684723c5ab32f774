import type { KeyReference } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import { pause } from '../../pause.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { inParallel } from '../in-parallel.ts'
import { type HostKeys, isCryptoSafe } from '../keys/host-keys.ts'
import { keysOfCluster } from '../keys/key-rows.ts'
import type { Kms } from '../keys/kms.ts'
import { Outages } from '../keys/outages.ts'
import { retryDelayMs } from '../retry-delay.ts'
import { causeOfMissingKey } from '../vms/lock-cause.ts'
import type { LockStates } from '../vms/lock-states.ts'
import { findHost } from '../vms/lookup.ts'
import { authorityOf, keysOf, readVms, type VmRecord } from '../vms/vm-store.ts'
import type { HandOver } from './hand-over.ts'
import { confirmOff, isPendingIncapable } from './host-disable.ts'
import { isLeaving } from './host-lookup.ts'
import { gapOfUnsafe, KeyGaps } from './key-gaps.ts'
import { type Failures, KeyReconciliation } from './key-reconciliation.ts'
import { sendKeyError } from './send-key-error.ts'
import { type Session, sessionPurpose } from './session.ts'

/** The most VMs that a host is asked about at once. */
const unlockConcurrencyMax = 8

/**
 * Brings hosts up to date when they connect (DESIGN.md, section 4, «Host start»): they get the KEKs that the database
 * ties to their cluster, forget all others, and open their VMs. What could not be had is tried again for as long as the
 * host is connected, so that VMs unlock by themselves.
 */
export class HostCatchUp {
  readonly #work: WorkContext
  readonly #reconciliation: KeyReconciliation
  readonly #hostKeys: HostKeys
  readonly #locks: LockStates
  readonly #gaps: KeyGaps
  readonly #sessions = new Map<string, Session>()
  readonly #background = new Map<Session, Promise<void>>()

  constructor(work: WorkContext, kms: Kms, handOver: HandOver, hostKeys: HostKeys, locks: LockStates) {
    this.#work = work
    this.#gaps = new KeyGaps(work)
    this.#reconciliation = new KeyReconciliation(work, kms, handOver, locks, this.#gaps)
    this.#hostKeys = hostKeys
    this.#locks = locks
  }

  /** Returns after the first round; goes on in the background when something is left to do. */
  async connected(host: HostRow, connection: HostConnection): Promise<void> {
    this.disconnected(host.id)
    const ended = new AbortController()
    const session: Session = {
      hostId: host.id,
      connection,
      outages: new Outages(),
      ended,
      over: AbortSignal.any([this.#work.stopping, ended.signal]),
    }
    this.#sessions.set(host.id, session)
    if (!(await this.#attempt(session, true))) this.again(host.id)
  }

  /** Something is left to do on a host: it is brought up to date again, soon, if it is connected. */
  again(hostId: string): void {
    const session = this.#sessions.get(hostId)
    if (session === undefined || session.over.aborted || this.#background.has(session)) return
    this.#background.set(
      session,
      this.#retry(session).finally(() => this.#background.delete(session)),
    )
  }

  /** The session is over. */
  disconnected(hostId: string): void {
    this.#sessions.get(hostId)?.ended.abort(new Error('the host is not connected any more'))
    this.#sessions.delete(hostId)
  }

  /** Nothing is known of what a host holds that is not connected, or, without one, of any. */
  async forget(host: Pick<HostRow, 'id'> | null): Promise<void> {
    await this.#gaps.forget(host)
  }

  /** Resolves when nothing goes on in the background any more. */
  async stopped(): Promise<void> {
    await Promise.all(this.#background.values())
  }

  async #retry(session: Session): Promise<void> {
    for (let failureCount = 0; !session.over.aborted; failureCount++) {
      await pause(this.#jittered(retryDelayMs(this.#work.timings, failureCount)), session.over).catch(() => undefined)
      if (session.over.aborted || (await this.#attempt(session, false))) return
    }
  }

  /** Many hosts that lost the same key server do not ask for their keys at the same moments. */
  #jittered(ms: number): number {
    return ms * (0.5 + Math.random() / 2)
  }

  /** One round; whether nothing is left to do. */
  async #attempt(session: Session, first: boolean): Promise<boolean> {
    try {
      return await this.#round(session, first)
    } catch (error) {
      if (session.over.aborted) return true
      this.#work.log.warn({ err: error, host: session.hostId }, 'a host is not up to date yet')
      return false
    }
  }

  async #round(session: Session, first: boolean): Promise<boolean> {
    const host = await findHost(this.#work.database, session.hostId)
    if (isLeaving(host)) return true
    if (host.crypto_off_at !== null) return this.#keepOff(session, host, first)
    const made = await this.#makeSafe(session, host)
    const keys = made.mayBring ? await this.#reconciliation.bring(session, host.name, first) : nothingBrought
    const opened = await this.#openVms(session, keys.failures, first)
    return keys.isDone && opened && made.isDone
  }

  /** A host on which encryption is disabled forgets what it holds; with that, or a new start, it holds nothing any more. */
  async #keepOff(session: Session, host: HostRow, first: boolean): Promise<boolean> {
    if (!session.connection.cryptoSupported) return true
    const { isDone } = await this.#reconciliation.bring(session, host.name, first)
    if (isDone && isPendingIncapable(host)) {
      await this.#work.events.transaction(async (transaction, record) => {
        await confirmOff(transaction, host.id)
        const text = `Host ${host.name}, on which encryption is disabled, holds no key any more: it is incapable`
        await record({ type: 'host.crypto.incapable', host: host.name, text })
      })
    }
    return isDone && (await this.#openVms(session, new Map(), first))
  }

  /**
   * A host becomes crypto-safe where its cluster is to have such hosts only, or somebody who may say so wanted it to be: by
   * enrolling it, or by a task that came while it was away. One that takes no keys is told of, once.
   */
  async #makeSafe(session: Session, host: HostRow): Promise<{ mayBring: boolean; isDone: boolean }> {
    const needed = await keysOfCluster(this.#work.database, host.cluster_id)
    const [named] = needed
    const purpose = sessionPurpose(session, host.name, named?.vm ?? null)
    if (!session.connection.cryptoSupported) {
      await this.#gaps.keep(host, null)
      if (named !== undefined) await sendKeyError(this.#work, host.name, 'incapable', named.key, purpose)
      return { mayBring: false, isDone: true }
    }
    if (isCryptoSafe(host)) return { mayBring: true, isDone: true }
    if (!(await this.#isWanted(host, named !== undefined))) return { mayBring: true, isDone: true }
    try {
      await this.#hostKeys.makeSafe(host.id, { ...purpose, vm: null })
      return { mayBring: true, isDone: true }
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      await this.#gaps.keep(host, gapOfUnsafe(needed.length, error))
      // What the host itself refuses is not asked of it again before it connects the next time.
      return { mayBring: false, isDone: error.code !== 'kms-unreachable' }
    }
  }

  /** Whether the host is to be made crypto-safe now. That it was enrolled for a cluster counts for the keys of then. */
  async #isWanted(host: HostRow, keysNeeded: boolean): Promise<boolean> {
    const cluster = await this.#work.database
      .selectFrom('cluster')
      .select('crypto_forced')
      .where('id', '=', host.cluster_id)
      .executeTakeFirst()
    if (cluster?.crypto_forced === 1) return true
    if (keysNeeded) return host.crypto_wanted_by !== null
    if (host.crypto_wanted_by !== null) {
      await this.#work.database.updateTable('host').set({ crypto_wanted_by: null }).where('id', '=', host.id).execute()
    }
    return false
  }

  /** Nothing is new for a VM that is locked because of keys which could not be had again; its host need not be asked. */
  #isStillWithout(vm: VmRecord, failures: Failures): boolean {
    if (vm.row.lock_state !== 'locked') return false
    const missing = keysOf(authorityOf(vm)).flatMap((key) => failures.get(keyText(key)) ?? [])
    const [failure] = missing
    return failure !== undefined && causeOfMissingKey(failure) === vm.row.lock_cause
  }

  /** Has the host open its VMs: all of them the first time, later those that are not open. Whether all are open. */
  async #openVms(session: Session, failures: Failures, first: boolean): Promise<boolean> {
    const vms = (await readVms(this.#work.database, { hostId: session.hostId })).filter(
      (vm) => vm.row.task_id === null && (first || vm.row.lock_state !== 'unlocked'),
    )
    let all = true
    await inParallel(vms, unlockConcurrencyMax, async (vm) => {
      session.over.throwIfAborted()
      if (!first && this.#isStillWithout(vm, failures)) return
      const why = (missing: readonly KeyReference[]) =>
        missing.map((key) => failures.get(keyText(key))).find((failure) => failure !== undefined) ?? null
      try {
        const { state } = await this.#locks.ask(session.connection, vm, null, why, first ? 'locked' : 'changes')
        // Whatever it is locked for may be mended behind our back: it opens by itself then.
        if (state === 'locked') all = false
      } catch (error) {
        if (!(error instanceof RestClientError)) throw error
        all = false
        await this.#locks.keep(vm, { state: 'unknown', text: error.message, missingKeys: [], cause: 'unclear' }, null)
        this.#work.log.warn(
          { err: error, host: session.hostId, vm: vm.row.id },
          'a host did not say whether a VM opens',
        )
      }
    })
    return all
  }
}

const nothingBrought = { failures: new Map<string, never>(), isDone: true }
