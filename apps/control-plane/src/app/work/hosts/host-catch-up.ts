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
import { keysForHost } from '../keys/key-rows.ts'
import type { Kms } from '../keys/kms.ts'
import { Outages } from '../keys/outages.ts'
import { retryDelayMs } from '../retry-delay.ts'
import type { LockStates } from '../vms/lock-states.ts'
import { findHost } from '../vms/lookup.ts'
import { readVms } from '../vms/vm-store.ts'
import type { HandOver } from './hand-over.ts'
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
  readonly #sessions = new Map<string, Session>()
  readonly #background = new Map<Session, Promise<void>>()

  constructor(work: WorkContext, kms: Kms, handOver: HandOver, hostKeys: HostKeys, locks: LockStates) {
    this.#work = work
    this.#reconciliation = new KeyReconciliation(work, kms, handOver, locks)
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

  /** Resolves when nothing goes on in the background any more. */
  async stopped(): Promise<void> {
    await Promise.all(this.#background.values())
  }

  async #retry(session: Session): Promise<void> {
    for (let failureCount = 0; !session.over.aborted; failureCount++) {
      await pause(retryDelayMs(this.#work.timings, failureCount), session.over).catch(() => undefined)
      if (session.over.aborted || (await this.#attempt(session, false))) return
    }
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
    const safe = await this.#makeSafe(session, host)
    const keys = safe.isSafe ? await this.#reconciliation.bring(session, host.name, first) : nothingBrought
    const opened = await this.#openVms(session, keys.failures, first)
    return keys.isDone && opened && safe.isDone
  }

  /**
   * A host whose cluster uses keys becomes crypto-safe: that it belongs to the cluster is the act of somebody who may
   * say so. One that takes no keys is told of, once.
   */
  async #makeSafe(session: Session, host: HostRow): Promise<{ isSafe: boolean; isDone: boolean }> {
    const needed = await keysForHost(this.#work.database, host.id, host.cluster_id)
    const [named] = needed
    const purpose = sessionPurpose(session, host.name, named?.vm ?? null)
    if (!session.connection.cryptoSupported) {
      if (named !== undefined) await sendKeyError(this.#work, host.name, 'incapable', named.key, purpose)
      return { isSafe: false, isDone: true }
    }
    if (isCryptoSafe(host) || named === undefined) return { isSafe: true, isDone: true }
    try {
      await this.#hostKeys.makeSafe(host.id, { ...purpose, vm: null })
      return { isSafe: true, isDone: true }
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      // What the host itself refuses is not asked of it again before it connects the next time.
      return { isSafe: false, isDone: error.code !== 'kms-unreachable' }
    }
  }

  /** Has the host open its VMs: all of them the first time, later those that are not open. Whether all were asked. */
  async #openVms(session: Session, failures: Failures, first: boolean): Promise<boolean> {
    const vms = (await readVms(this.#work.database, { hostId: session.hostId })).filter(
      (vm) => vm.row.task_id === null && (first || vm.row.lock_state !== 'unlocked'),
    )
    let all = true
    await inParallel(vms, unlockConcurrencyMax, async (vm) => {
      session.over.throwIfAborted()
      const why = (missing: readonly KeyReference[]) =>
        missing.map((key) => failures.get(keyText(key))?.message).find((message) => message !== undefined) ?? null
      try {
        await this.#locks.ask(session.connection, vm, null, why, first ? 'locked' : 'changes')
      } catch (error) {
        if (!(error instanceof RestClientError)) throw error
        all = false
        await this.#locks.keep(vm, { state: 'unknown', text: error.message, missingKeys: [] }, null)
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
