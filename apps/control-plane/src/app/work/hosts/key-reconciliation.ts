import type { KeyReference } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyReference, keyText } from '../../key-reference.ts'
import { isOnHold } from '../../system/installation.ts'
import type { WorkContext } from '../context.ts'
import { inParallel } from '../in-parallel.ts'
import { keysForHost, type NeededKey } from '../keys/key-rows.ts'
import type { Kms } from '../keys/kms.ts'
import type { LockStates } from '../vms/lock-states.ts'
import { findHost } from '../vms/lookup.ts'
import { authorityOf, keysOf, readVms } from '../vms/vm-store.ts'
import { noLongerExposed } from './exposed-keys.ts'
import { type HandOver, handOverConcurrencyMax } from './hand-over.ts'
import { gapAfterHandOver, gapBeforeHandOver, type KeyGaps } from './key-gaps.ts'
import { bringPersistence } from './key-persistence.ts'
import { type Session, sessionPurpose } from './session.ts'

/** Why keys could not be handed over, by `keyText`. */
export type Failures = ReadonlyMap<string, ControlPlaneError>

/** Makes what a host holds the same as what the database says that it needs. */
export class KeyReconciliation {
  readonly #work: WorkContext
  readonly #kms: Kms
  readonly #handOver: HandOver
  readonly #locks: LockStates
  readonly #gaps: KeyGaps

  constructor(work: WorkContext, kms: Kms, handOver: HandOver, locks: LockStates, gaps: KeyGaps) {
    this.#work = work
    this.#kms = kms
    this.#handOver = handOver
    this.#locks = locks
    this.#gaps = gaps
  }

  /** Gives the host what it lacks, and takes from it what its cluster does not need. Says which keys it did not get. */
  async bring(
    session: Session,
    hostName: string,
    first: boolean,
  ): Promise<{ readonly failures: Failures; readonly isDone: boolean }> {
    const { connection } = session
    const row = await findHost(this.#work.database, session.hostId)
    const persisted = await bringPersistence(this.#work, row, connection.client, first)
    // In this order: a key is on record before any host gets it, so what is held and not on record is not needed.
    const { keys: held } = await connection.client.keys()
    const needed = await this.#needed(session)
    const heldNames = new Set(held.map(keyText))
    const missing = [...needed.values()].filter(({ key }) => !heldNames.has(keyText(key)))
    const missingKeys = missing.map(({ key }) => key)
    const removed = await this.#removeAll(session, held, needed)
    const named = { id: session.hostId, name: hostName }
    if (first) {
      await this.#lockQuietly(session, missing)
      const hostKey = await this.#hostKeyOf(session)
      await this.#gaps.keep(named, gapBeforeHandOver(needed.size, missingKeys, hostKey), 'quiet')
    }
    const failures = await this.#give(session, hostName, missing)
    if (removed && persisted) await noLongerExposed(this.#work.database, session.hostId)
    const given = missingKeys.filter((key) => !failures.has(keyText(key)))
    const stillNeeded = await this.#removeAll(session, given, await this.#needed(session))
    const hostKey = await this.#hostKeyOf(session)
    if (hostKey !== null && !failures.has(keyText(hostKey))) await connection.client.setHostKey(hostKey)
    if (given.length > 0) {
      const text = `Host ${hostName} was given ${given.length} ${given.length === 1 ? 'key' : 'keys'} of its cluster`
      await this.#work.events.record({ type: 'host.crypto.keys-sent', host: hostName, text })
    }
    await this.#gaps.keep(named, gapAfterHandOver(needed.size, failures, missingKeys, hostKey))
    return { failures, isDone: failures.size === 0 && persisted && removed && stillNeeded }
  }

  async #hostKeyOf(session: Session): Promise<KeyReference | null> {
    const host = await findHost(this.#work.database, session.hostId)
    return keyReference(host.host_key_provider, host.host_key_id)
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
      const purpose = sessionPurpose(session, hostName, vm)
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
    // After a restore it is not known here what the host needs.
    if (await isOnHold(this.#work.database)) return true
    let all = true
    for (const key of held) {
      if (needed.has(keyText(key))) continue
      try {
        // Somebody may have taken it just now.
        await this.#handOver.alone(key, async () => {
          if ((await this.#needed(session)).has(keyText(key))) return
          await session.connection.client.removeKey(key)
        })
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
      await this.#locks.keep(vm, { state: 'locked', text, missingKeys, cause: 'key-missing-on-host' }, null, 'nothing')
    }
  }
}
