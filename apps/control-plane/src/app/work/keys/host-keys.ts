import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { HostRow } from '../../../database/schema.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { sendKeyError } from '../hosts/send-key-error.ts'
import { KeyedLock } from '../keyed-lock.ts'
import { findHost, findProvider } from '../vms/lookup.ts'
import type { KeyDisposal } from './key-disposal.ts'
import { ownerLabels } from './key-labels.ts'
import { type KeyOwner, pendingKeysOfTask, referenceOf, setKeyState } from './key-rows.ts'
import type { Kms, Purpose } from './kms.ts'
import type { KekMaker } from './new-kek.ts'

/** Whether the host has a host key: the one that it holds, or gets when it connects. */
export const isCryptoSafe = (host: Pick<HostRow, 'host_key_id'>): boolean => host.host_key_id !== null

/** Makes hosts crypto-safe: each gets its host key. */
export class HostKeys {
  readonly #work: WorkContext
  readonly #kms: Kms
  readonly #maker: KekMaker
  readonly #handOver: HandOver
  readonly #disposal: KeyDisposal
  readonly #lock = new KeyedLock()

  constructor(work: WorkContext, kms: Kms, maker: KekMaker, handOver: HandOver, disposal: KeyDisposal) {
    this.#work = work
    this.#kms = kms
    this.#maker = maker
    this.#handOver = handOver
    this.#disposal = disposal
  }

  /**
   * Makes the host crypto-safe, unless it is: a host key of the default provider is made, labelled and handed over.
   * Throws when that fails, with its event recorded and the key that was made for it given up.
   */
  async makeSafe(hostId: string, purpose: Purpose): Promise<void> {
    await this.#lock.run(hostId, async () => {
      const host = await findHost(this.#work.database, hostId)
      if (isCryptoSafe(host)) return
      const about = { ...purpose, host: host.name }
      const connection = this.#work.hostConnections.get(hostId)
      if (connection === null || !connection.cryptoSupported) {
        const failure = connection === null ? 'disconnected' : 'incapable'
        throw await sendKeyError(this.#work, host.name, failure, { provider: null, keyId: null }, about)
      }
      const key = await this.#pendingKey(host, about)
      try {
        await this.#equip(host, key, about)
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        await this.#handOver.forget(host.cluster_id, [key])
        await this.#disposal.discard([key])
        throw error
      }
    })
  }

  /** Gives up the host keys that a task made and did not hand over, unless somebody else did meanwhile. */
  async giveUp(taskId: string): Promise<void> {
    for (const row of await pendingKeysOfTask(this.#work.database, taskId)) {
      if (row.owner_kind !== 'host') continue
      await this.#lock.run(row.owner_id, () => this.#disposal.discard([referenceOf(row)]))
    }
  }

  /** The host key that was made before, when that was cut short, else a new one. */
  async #pendingKey(host: HostRow, purpose: Purpose): Promise<KeyReference> {
    const made = await this.#work.database
      .selectFrom('key')
      .selectAll()
      .where('owner_id', '=', host.id)
      .where('owner_kind', '=', 'host')
      .where('state', '=', 'pending')
      .executeTakeFirst()
    if (made !== undefined) return referenceOf(made)
    const provider = await findProvider(this.#work.database, undefined)
    return this.#maker.create(provider, ownerOf(host), purpose, async () => undefined)
  }

  async #equip(host: HostRow, key: KeyReference, purpose: Purpose): Promise<void> {
    await this.#maker.makeReady(key, purpose)
    await this.#kms.label(key, ownerLabels(ownerOf(host), host.hardware_uuid), purpose)
    {
      using kek = await this.#kms.fetch(key, purpose)
      await this.#handOver.give(host, this.#work.hostConnections.get(host.id), key, kek, purpose)
    }
    await this.#handOver.setHostKey(host, key, purpose)
    await this.#work.database.transaction().execute(async (transaction) => {
      await transaction
        .updateTable('host')
        .set({ host_key_provider: key.provider, host_key_id: key.keyId })
        .where('id', '=', host.id)
        .execute()
      await setKeyState(transaction, key, 'current', this.#work.clock())
    })
    await this.#work.events.record({
      type: 'host.crypto.enabled',
      host: host.name,
      vm: purpose.vm,
      ...key,
      text: `Host ${host.name} holds its host key and is crypto-safe`,
      user: purpose.user,
      task: purpose.task,
    })
  }
}

function ownerOf(host: HostRow): KeyOwner {
  return { kind: 'host', id: host.id, name: host.name }
}
