import type { KeyReference } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { inParallel } from '../in-parallel.ts'
import { type HostKeys, isCryptoSafe } from '../keys/host-keys.ts'
import { keysForHost, type NeededKey } from '../keys/key-rows.ts'
import type { Kms, Purpose } from '../keys/kms.ts'
import { Outages } from '../keys/outages.ts'
import { pause, retryDelayMs } from '../pause.ts'
import type { LockStates } from '../vms/lock-states.ts'
import { findHost } from '../vms/lookup.ts'
import { authorityOf, keysOf, keyText, readVms } from '../vms/vm-store.ts'
import { type HandOver, handOverConcurrencyMax } from './hand-over.ts'
import { sendKeyError } from './send-key-error.ts'

/** The most VMs that a host is asked about at once. */
const unlockConcurrencyMax = 8

/** Why keys could not be handed over, by `keyText`. */
type Failures = ReadonlyMap<string, ControlPlaneError>

/** One session of a host. */
interface Session {
  readonly hostId: string
  readonly connection: HostConnection
  readonly outages: Outages
  readonly ended: AbortController
  /** Fires when the session is over, or the control plane stops. */
  readonly over: AbortSignal
}

/**
 * Brings hosts up to date when they connect (DESIGN.md, section 4, «Host start»): they get the KEKs that the database
 * ties to their cluster, forget all others, and open their VMs. What could not be had is tried again for as long as the
 * host is connected, so that VMs unlock by themselves.
 */
export class HostCatchUp {
  readonly #work: WorkContext
  readonly #kms: Kms
  readonly #handOver: HandOver
  readonly #hostKeys: HostKeys
  readonly #locks: LockStates
  readonly #sessions = new Map<string, Session>()
  readonly #background = new Map<Session, Promise<void>>()

  constructor(work: WorkContext, kms: Kms, handOver: HandOver, hostKeys: HostKeys, locks: LockStates) {
    this.#work = work
    this.#kms = kms
    this.#handOver = handOver
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
    const keys = safe.isSafe ? await this.#bringKeys(session, host.name, first) : { failures: new Map(), isDone: true }
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
    const purpose = purposeOf(session, host.name, named?.vm ?? null)
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

  /** Gives the host what it lacks, and takes from it what its cluster does not need. Says which keys it did not get. */
  async #bringKeys(
    session: Session,
    hostName: string,
    first: boolean,
  ): Promise<{ readonly failures: Failures; readonly isDone: boolean }> {
    const { connection } = session
    // In this order: a key is on record before any host gets it, so what is held and not on record is not needed.
    const { keys: held } = await connection.client.keys()
    const needed = await this.#needed(session)
    const heldNames = new Set(held.map(keyText))
    const missing = [...needed.values()].filter(({ key }) => !heldNames.has(keyText(key)))
    const removed = await this.#removeAll(session, held, needed)
    if (first) await this.#lockQuietly(session, missing)
    const failures = await this.#give(session, hostName, missing)
    const given = missing.map(({ key }) => key).filter((key) => !failures.has(keyText(key)))
    const stillNeeded = await this.#removeAll(session, given, await this.#needed(session))
    const host = await findHost(this.#work.database, session.hostId)
    if (host.host_key_provider !== null && host.host_key_id !== null) {
      const hostKey = { provider: host.host_key_provider, keyId: host.host_key_id }
      if (!failures.has(keyText(hostKey))) await connection.client.setHostKey(hostKey)
    }
    if (given.length > 0) {
      const text = `Host ${hostName} was given ${given.length} ${given.length === 1 ? 'key' : 'keys'} of its cluster`
      await this.#work.events.record({ type: 'host.crypto.keys-sent', host: hostName, text })
    }
    return { failures, isDone: failures.size === 0 && removed && stillNeeded }
  }

  async #needed(session: Session): Promise<ReadonlyMap<string, NeededKey>> {
    const host = await findHost(this.#work.database, session.hostId)
    const needed = await keysForHost(this.#work.database, host.id, host.cluster_id)
    return new Map(needed.map((one) => [keyText(one.key), one]))
  }

  async #give(session: Session, hostName: string, missing: readonly NeededKey[]): Promise<Failures> {
    const failures = new Map<string, ControlPlaneError>()
    const unreachable = new Map<string, ControlPlaneError>()
    await inParallel(missing, handOverConcurrencyMax, async ({ key, vm }) => {
      session.over.throwIfAborted()
      const purpose = purposeOf(session, hostName, vm)
      try {
        const cause = unreachable.get(key.provider)
        if (cause !== undefined) throw await this.#kms.unreachable(key, cause, purpose)
        using kek = await this.#kms.fetch(key, purpose)
        await this.#handOver.give({ name: hostName }, session.connection, key, kek, purpose)
      } catch (error) {
        if (!(error instanceof ControlPlaneError)) throw error
        failures.set(keyText(key), error)
        if (error.code === 'kms-unreachable') unreachable.set(key.provider, error)
      }
    })
    return failures
  }

  /** Has the host forget those of `held` that are not needed; whether it did. */
  async #removeAll(
    session: Session,
    held: readonly KeyReference[],
    needed: ReadonlyMap<string, NeededKey>,
  ): Promise<boolean> {
    let all = true
    for (const key of held) {
      if (needed.has(keyText(key))) continue
      try {
        await session.connection.client.removeKey(key)
      } catch (error) {
        // An operation uses it still.
        if (!(error instanceof RestClientError) || error.code !== 'answered') throw error
        all = false
        this.#work.log.warn({ err: error, host: session.hostId, ...key }, 'a host did not forget a key yet')
      }
    }
    return all
  }

  /** VMs whose keys the host lost are locked from the moment that this is known; the event says how that ends. */
  async #lockQuietly(session: Session, missing: readonly NeededKey[]): Promise<void> {
    const names = new Set(missing.map(({ key }) => keyText(key)))
    for (const vm of await readVms(this.#work.database, { hostId: session.hostId })) {
      const missingKeys = keysOf(authorityOf(vm)).filter((key) => names.has(keyText(key)))
      if (missingKeys.length === 0) continue
      const text = `host ${vm.hostName} started without keys and has not been given them yet`
      await this.#locks.keep(vm, { state: 'locked', text, missingKeys }, null, 'nothing')
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

function purposeOf(session: Session, host: string, vm: string | null): Purpose {
  return { host, vm, user: null, task: null, outages: session.outages }
}
