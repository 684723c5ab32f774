import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Database, WorkContext } from '../context.ts'
import { productLabels } from './key-labels.ts'
import { insertPendingKey, type KeyOwner } from './key-rows.ts'
import type { Kms, Purpose } from './kms.ts'
import { ownerText } from './owner-text.ts'

/** Has KEKs made: their ID is on record before anything else happens to them. */
export class KekMaker {
  readonly #work: WorkContext
  readonly #kms: Kms

  constructor(work: WorkContext, kms: Kms) {
    this.#work = work
    this.#kms = kms
  }

  /**
   * Asks `provider` for a KEK and puts its ID on record as pending; `alongside` is written in the same transaction. A
   * key whose answer never came here has no labels and is listed as an orphan.
   */
  async create(
    provider: string,
    owner: KeyOwner,
    purpose: Purpose,
    alongside: (transaction: Database, key: KeyReference) => Promise<void>,
  ): Promise<KeyReference> {
    const key = await this.#kms.create(provider, purpose)
    await this.#work.database.transaction().execute(async (transaction) => {
      await insertPendingKey(transaction, key, owner, purpose.task, this.#work.clock())
      await alongside(transaction, key)
    })
    await this.#work.events.record({
      type: 'kms.crypto.key-created',
      host: purpose.host,
      vm: purpose.vm,
      ...key,
      text: `Key provider ${provider} made the key ${key.keyId} for ${ownerText(owner.kind, owner.name)}`,
      user: purpose.user,
      task: purpose.task,
    })
    return key
  }

  /** Labels the key with where it comes from and activates it: it can be used from now on. May be done again. */
  async makeReady(key: KeyReference, purpose: Purpose): Promise<void> {
    await this.#kms.label(key, productLabels(this.#work.labels), purpose)
    await this.#kms.activate(key, purpose)
  }
}
