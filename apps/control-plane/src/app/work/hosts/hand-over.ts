import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import type { HostRow } from '../../../database/schema.ts'
import { distinctKeys, keyText } from '../../key-reference.ts'
import type { HostConnection } from '../../ports.ts'
import { askOutside, isRehearsed } from '../../rehearsal.ts'
import { isOnHold } from '../../system/installation.ts'
import type { WorkContext } from '../context.ts'
import { inParallel } from '../in-parallel.ts'
import { KeyedLock } from '../keyed-lock.ts'
import { noteKey } from '../keys/key-audit.ts'
import { keysOfCluster } from '../keys/key-rows.ts'
import type { Kms, Purpose } from '../keys/kms.ts'
import { hostsOfCluster } from '../vms/lookup.ts'
import { sendKeyError } from './send-key-error.ts'

/** The most keys that are fetched and handed over at once, and the most hosts that are given a key at once. */
export const handOverConcurrencyMax = 8

/** Gives KEKs to hosts and takes them away again. A KEK is in our memory only while it is handed over. */
export class HandOver {
  readonly #work: WorkContext
  readonly #kms: Kms
  readonly #leftOver: (hostId: string) => void
  readonly #locks = new KeyedLock()

  /** `leftOver` is told of a host that did not forget a key: it has to be brought up to date. */
  constructor(work: WorkContext, kms: Kms, leftOver: (hostId: string) => void) {
    this.#work = work
    this.#kms = kms
    this.#leftOver = leftOver
  }

  /**
   * Does something to a key that VMs share while nobody else does: a task that takes it, and hosts that are to forget it
   * because nothing needs it, must not pass each other by.
   */
  alone<Result>(key: KeyReference, act: () => Promise<Result>): Promise<Result> {
    return this.#locks.run(keyText(key), act)
  }

  /** Has the hosts of a cluster forget those of `keys` that nothing in it needs, the task `exceptTask` aside. */
  async forgetUnneeded(clusterId: string, keys: readonly KeyReference[], exceptTask?: string): Promise<void> {
    for (const key of keys) {
      await this.alone(key, async () => {
        const needed = await keysOfCluster(this.#work.database, clusterId, exceptTask)
        if (!needed.some((one) => keyText(one.key) === keyText(key))) await this.forget(clusterId, [key])
      })
    }
  }

  /** Gives `kek` to one host; throws what `sendKeyError` gives, its event recorded. */
  async give(
    host: Pick<HostRow, 'name'>,
    connection: HostConnection | null,
    key: KeyReference,
    kek: Secret,
    purpose: Purpose,
  ): Promise<void> {
    if (connection === null) throw await sendKeyError(this.#work, host.name, 'disconnected', key, purpose)
    if (!connection.cryptoSupported) throw await sendKeyError(this.#work, host.name, 'incapable', key, purpose)
    try {
      await connection.client.addKey(key, kek)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      this.#work.log.warn({ err: error, host: host.name, ...key }, 'a key could not be handed over')
      throw await sendKeyError(this.#work, host.name, { error }, key, purpose)
    }
    await noteKey(this.#work.audit, 'key.hand-over', key, { ...purpose, host: host.name }, 'success')
  }

  /** Says which of the KEKs that the host holds is its host key. */
  async setHostKey(host: Pick<HostRow, 'id' | 'name'>, key: KeyReference, purpose: Purpose): Promise<void> {
    const connection = this.#work.hostConnections.get(host.id)
    if (connection === null) throw await sendKeyError(this.#work, host.name, 'disconnected', key, purpose)
    try {
      await connection.client.setHostKey(key)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      throw await sendKeyError(this.#work, host.name, { error }, key, purpose)
    }
  }

  /**
   * Sees to it that the host holds `keys`: fetches those that it does not hold and gives them to it (in a dry run it fetches
   * them only). Throws the first failure when all were tried.
   */
  async ensureHeld(
    host: Pick<HostRow, 'name'>,
    connection: HostConnection,
    keys: readonly KeyReference[],
    purpose: Purpose,
  ): Promise<void> {
    if (keys.length === 0) return
    const held = await this.heldKeys(host, connection, keys, purpose)
    const missing = distinctKeys(keys).filter((key) => !held.has(keyText(key)))
    await inParallel(missing, handOverConcurrencyMax, async (key) => {
      using kek = await this.#kms.fetch(key, { ...purpose, host: host.name })
      if (!isRehearsed()) await this.give(host, connection, key, kek, purpose)
    })
  }

  /** The names (`keyText`) of the KEKs that the host holds. `wanted` is what it is asked for, for the event. */
  async heldKeys(
    host: Pick<HostRow, 'name'>,
    connection: HostConnection,
    wanted: readonly KeyReference[],
    purpose: Purpose,
  ): Promise<ReadonlySet<string>> {
    const [first] = wanted
    const named = first ?? { provider: null, keyId: null }
    if (!connection.cryptoSupported) throw await sendKeyError(this.#work, host.name, 'incapable', named, purpose)
    try {
      const { keys } = await askOutside(`which keys host ${host.name} holds`, () => connection.client.keys())
      return new Set(keys.map(keyText))
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      throw await sendKeyError(this.#work, host.name, { error }, named, purpose)
    }
  }

  /**
   * Has every connected host of a cluster forget KEKs that nothing uses. One that does not, or is not connected, is
   * caught when it is brought up to date: it is then told to forget whatever its cluster does not need. After a restore none
   * is taken away before `settle`.
   */
  async forget(clusterId: string, keys: readonly KeyReference[]): Promise<void> {
    if (keys.length === 0 || isRehearsed() || (await isOnHold(this.#work.database))) return
    const hosts = await hostsOfCluster(this.#work.database, clusterId)
    await inParallel(hosts, handOverConcurrencyMax, (host) => this.forgetOn(host.id, keys))
  }

  /** As `forget`, on one host. */
  async forgetOn(hostId: string, keys: readonly KeyReference[]): Promise<void> {
    const connection = this.#work.hostConnections.get(hostId)
    if (connection === null || !connection.cryptoSupported) return
    for (const key of keys) {
      try {
        await connection.client.removeKey(key)
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        this.#work.log.warn({ err: error, host: hostId, ...key }, 'a host did not forget a key yet')
        this.#leftOver(hostId)
      }
    }
  }
}
