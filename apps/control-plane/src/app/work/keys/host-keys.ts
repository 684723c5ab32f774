import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { Database, WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { isOutOfUse } from '../hosts/host-lookup.ts'
import { sendKeyError } from '../hosts/send-key-error.ts'
import { KeyedLock } from '../keyed-lock.ts'
import { findHost, findProvider } from '../vms/lookup.ts'
import type { KeyDisposal } from './key-disposal.ts'
import { ownerLabels } from './key-labels.ts'
import { findKey, insertPendingKey, type KeyOwner, pendingKeysOfTask, referenceOf, setKeyState } from './key-rows.ts'
import type { Kms, Purpose } from './kms.ts'
import type { KekMaker } from './new-kek.ts'

/** Whether the host has a host key: the one that it holds, or gets when it connects. */
export const isCryptoSafe = (host: Pick<HostRow, 'host_key_id'>): boolean => host.host_key_id !== null

/** Which key is to be the host key: one that is there, or a new one of a provider (the default one when left out). */
export interface HostKeyWish {
  readonly existing?: KeyReference
  readonly provider?: string
}

/** Makes hosts crypto-safe: each gets its host key; and gives them other ones. */
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
   * Makes the host crypto-safe, unless it is: a host key is made, labelled and handed over. Throws when that fails, with its
   * event recorded and the key that was made for it given up; `host-incapable` where encryption was disabled by somebody.
   */
  async makeSafe(hostId: string, purpose: Purpose, wish: HostKeyWish = {}): Promise<void> {
    await this.#lock.run(hostId, async () => {
      const host = await findHost(this.#work.database, hostId)
      if (isCryptoSafe(host)) return
      if (isOutOfUse(host)) throw cryptoOff(host)
      const about = { ...purpose, host: host.name }
      const connection = this.#work.hostConnections.get(hostId)
      if (connection === null || !connection.cryptoSupported) {
        const failure = connection === null ? 'disconnected' : 'incapable'
        throw await sendKeyError(this.#work, host.name, failure, { provider: null, keyId: null }, about)
      }
      const key = await this.#pendingKey(host, about, wish)
      try {
        await this.makeReady(host, key, about)
        await this.handOver(host, key, about)
        await this.#handOver.setHostKey(host, key, about)
        await this.#enabled(host, key, about)
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        await this.discard(host, key, wish)
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

  /** Puts a new key of the host on record as pending: the one that was wished for, or one that the provider makes. */
  async takeNew(host: HostRow, purpose: Purpose, wish: HostKeyWish): Promise<KeyReference> {
    if (wish.existing !== undefined) return this.#adopt(host, wish.existing, purpose)
    const provider =
      wish.provider ?? (await findProvider(this.#work.database, undefined, undefined, { clusterId: host.cluster_id }))
    return this.#maker.create(provider, ownerOf(host), purpose, async () => undefined)
  }

  /** Labels and activates a key of the host. May be done again. */
  async makeReady(host: HostRow, key: KeyReference, purpose: Purpose): Promise<void> {
    await this.#maker.makeReady(key, purpose)
    await this.#kms.label(key, ownerLabels(ownerOf(host), host.hardware_uuid), purpose)
  }

  /** Fetches a key and gives it to the host. */
  async handOver(host: HostRow, key: KeyReference, purpose: Purpose): Promise<void> {
    using kek = await this.#kms.fetch(key, purpose)
    await this.#handOver.give(host, this.#work.hostConnections.get(host.id), key, kek, purpose)
  }

  /** Takes a key that did not become the host key from the host; one that was made for it is destroyed. */
  async discard(host: Pick<HostRow, 'id'>, key: KeyReference, wish: HostKeyWish): Promise<void> {
    await this.#handOver.forgetOn(host.id, [key])
    if (wish.existing === undefined) await this.#disposal.discard([key])
    else await dropPending(this.#work.database, key)
  }

  /** The host key that was made before, when that was cut short, else a new one. */
  async #pendingKey(host: HostRow, purpose: Purpose, wish: HostKeyWish): Promise<KeyReference> {
    const made = await this.#work.database
      .selectFrom('key')
      .selectAll()
      .where('owner_id', '=', host.id)
      .where('owner_kind', '=', 'host')
      .where('state', '=', 'pending')
      .execute()
    const fitting = made.map(referenceOf).find((key) => {
      if (wish.existing !== undefined) return keyText(key) === keyText(wish.existing)
      return wish.provider === undefined || key.provider === wish.provider
    })
    return fitting ?? this.takeNew(host, purpose, wish)
  }

  /** A key that an operator chose: it must be there, and nobody's. */
  async #adopt(host: HostRow, key: KeyReference, purpose: Purpose): Promise<KeyReference> {
    await this.#work.database.transaction().execute(async (transaction) => {
      const known = await findKey(transaction, key)
      if (known === null) {
        await insertPendingKey(transaction, key, ownerOf(host), purpose.task, this.#work.clock())
      } else if (known.owner_kind === 'host' && known.owner_id === host.id && known.state !== 'destroyed') {
        await setKeyState(transaction, key, 'pending', this.#work.clock())
      } else {
        throw new ControlPlaneError(
          'in-use',
          `keyId: key ${key.keyId} of provider ${key.provider} belongs to ${known.owner_kind === 'vm' ? 'VM' : 'host'} ${known.owner_name}: name one that nothing else uses, or none to have one made`,
          { field: 'keyId' },
        )
      }
    })
    return key
  }

  async #enabled(host: HostRow, key: KeyReference, purpose: Purpose): Promise<void> {
    await this.#work.events.transaction(async (transaction, record) => {
      await transaction
        .updateTable('host')
        .set({ host_key_provider: key.provider, host_key_id: key.keyId, crypto_wanted_by: null })
        .where('id', '=', host.id)
        .execute()
      await setKeyState(transaction, key, 'current', this.#work.clock())
      await record({
        type: 'host.crypto.enabled',
        host: host.name,
        vm: purpose.vm,
        ...key,
        text: `Host ${host.name} holds its host key and is crypto-safe`,
        user: purpose.user,
        task: purpose.task,
      })
    })
  }
}

export function ownerOf(host: Pick<HostRow, 'id' | 'name'>): KeyOwner {
  return { kind: 'host', id: host.id, name: host.name }
}

/** A host that is not to be given keys says so, and how that ends. */
export function cryptoOff(host: HostRow): ControlPlaneError {
  const why =
    host.decommissioned_at !== null
      ? 'was decommissioned: enrol it again («host enroll») before it is given keys'
      : host.leaving_task_id !== null
        ? 'is leaving its cluster: wait for the end of that task'
        : `has encryption disabled: enable it with «host crypto enable ${host.name}», or use another host`
  return new ControlPlaneError('host-incapable', `host ${host.name} ${why}`, { field: 'host' })
}

/** An operator's key that did not become a host key is none of ours again. */
async function dropPending(database: Database, key: KeyReference): Promise<void> {
  await database
    .deleteFrom('key')
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .where('state', '=', 'pending')
    .execute()
}
