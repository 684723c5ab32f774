import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { KeyProviderRow } from '../../../../database/schema.ts'
import type { WrappingKeyRow } from '../../../../database/wrapping-rows.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import type { Principal } from '../../../ports.ts'
import type { Database, WorkContext } from '../../context.ts'
import type { HandOver } from '../../hosts/hand-over.ts'
import { KeyedLock } from '../../keyed-lock.ts'
import { updateTask } from '../../tasks/task-store.ts'
import type { KeyDisposal } from '../key-disposal.ts'
import { wrappingKeyLabels } from '../key-labels.ts'
import { type KeyOwner, retireIfUnused, setKeyState } from '../key-rows.ts'
import type { Kms, Purpose } from '../kms.ts'
import type { KekMaker } from '../new-kek.ts'
import { Outages } from '../outages.ts'
import { findWrapping, isDue } from './wrapping-rows.ts'

/** Nobody's request: a rotation that was due. */
const ownPurpose: Purpose = { host: null, vm: null, user: null, task: null }

/**
 * The wrapping keys of key providers: one KEK for many VMs, so that few keys lie in a key server. Each is taken until its
 * time is over; then another one is made, and it stays for those that have it.
 */
export class WrappingKeys {
  readonly #work: WorkContext
  readonly #kms: Kms
  readonly #maker: KekMaker
  readonly #handOver: HandOver
  readonly #disposal: KeyDisposal
  readonly #locks = new KeyedLock()
  readonly #outages = new Outages()

  constructor(work: WorkContext, kms: Kms, maker: KekMaker, handOver: HandOver, disposal: KeyDisposal) {
    this.#work = work
    this.#kms = kms
    this.#maker = maker
    this.#handOver = handOver
    this.#disposal = disposal
  }

  /**
   * The KEK that a task is to take, written into its row; `null`: the provider gives each VM one of its own. Makes one when
   * there is none, or its time is over. Throws when none can be had.
   */
  async take(provider: string, taskId: string, purpose: Purpose): Promise<KeyReference | null> {
    return this.#locks.run(provider, async () => {
      const row = await findWrapping(this.#work.database, provider)
      if (row === null) return null
      const key = await this.#presentKey(row, purpose)
      // From here on whoever has hosts forget this key sees that it is needed.
      await this.#handOver.alone(key, () =>
        updateTask(this.#work.database, taskId, { key_provider: key.provider, key_id: key.keyId }),
      )
      return key
    })
  }

  /** Has another key made now. Throws `not-found`, `invalid` where there is nothing to rotate, and what the provider says. */
  async rotate(provider: string, by: Principal): Promise<void> {
    await this.#requireProvider(provider)
    const { numUpdatedRows } = await this.#work.database
      .updateTable('wrapping_key')
      // On record first: it is done after the next start when this one is cut short.
      .set({ due_at: this.#work.clock() })
      .where('provider', '=', provider)
      .where('rotation_ms', 'is not', null)
      .executeTakeFirst()
    if (numUpdatedRows !== 1n) {
      const why =
        (await findWrapping(this.#work.database, provider)) === null
          ? 'gives each VM a key of its own (key type raw): «vm rekey» gives one another key'
          : 'takes one wrapping key that was chosen: choose another one with «key-provider key-type»'
      throw new ControlPlaneError('invalid', `key provider ${provider} ${why}`, { field: 'name' })
    }
    await this.renewIfDue(provider, { ...ownPurpose, user: by.name })
  }

  /** Makes another key where the present one's time is over. Throws what the provider says, told of by an event. */
  async renewIfDue(provider: string, purpose: Purpose = { ...ownPurpose, outages: this.#outages }): Promise<void> {
    await this.#locks.run(provider, async () => {
      const row = await findWrapping(this.#work.database, provider)
      if (row !== null && isDue(row, this.#work.clock())) await this.#renew(row, purpose)
    })
  }

  async #presentKey(row: WrappingKeyRow, purpose: Purpose): Promise<KeyReference> {
    if (isDue(row, this.#work.clock())) {
      try {
        return await this.#renew(row, purpose)
      } catch (error) {
        // Its event is recorded. The old key is as good as it was: a rotation that is late is no reason to fail.
        if (row.key_id === null || !(error instanceof ControlPlaneError)) throw error
      }
    }
    if (row.key_id === null) throw new Error(`key provider ${row.provider} has no wrapping key, and is not due`)
    return { provider: row.provider, keyId: row.key_id }
  }

  /** What is cut short leaves a pending key without a task, which the next start destroys; and the renewal is still due. */
  async #renew({ provider }: WrappingKeyRow, purpose: Purpose): Promise<KeyReference> {
    const owner: KeyOwner = { kind: 'key-provider', id: provider, name: provider }
    const own = { ...purpose, task: null }
    const key = await this.#maker.create(provider, owner, own, async () => undefined)
    try {
      await this.#maker.makeReady(key, own)
      await this.#kms.label(key, wrappingKeyLabels(provider), own)
      await this.#putInUse(key, own)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      await this.#disposal.discard([key])
      throw error
    }
    return key
  }

  async #putInUse(key: KeyReference, purpose: Purpose): Promise<void> {
    const { provider, keyId } = key
    const now = this.#work.clock()
    await this.#work.events.transaction(async (transaction, record) => {
      const before = await findWrapping(transaction, provider)
      if (before === null || before.rotation_ms === null) {
        throw new ControlPlaneError('invalid', `key provider ${provider} changed meanwhile: look, and try again`)
      }
      await setKeyState(transaction, key, 'current', now)
      await transaction
        .updateTable('wrapping_key')
        .set({ key_id: keyId, since: now, due_at: now + before.rotation_ms })
        .where('provider', '=', provider)
        .execute()
      await leave(transaction, before, now)
      const instead =
        before.key_id === null ? '' : ` in place of ${before.key_id}, which stays for the VMs that have it`
      await record({
        type: 'key-provider.wrapping-key-changed',
        ...key,
        text: `key provider ${provider} takes the wrapping key ${keyId}${instead}`,
        user: purpose.user,
      })
    })
  }

  async #requireProvider(name: string): Promise<Pick<KeyProviderRow, 'name'>> {
    const { database } = this.#work
    const row = await database.selectFrom('key_provider').select('name').where('name', '=', name).executeTakeFirst()
    if (row !== undefined) return row
    throw new ControlPlaneError('not-found', `there is no key provider ${name}: see «key-provider list»`, {
      field: 'name',
    })
  }
}

/** A key that its provider takes no more is retired when no VM has it. */
export async function leave(transaction: Database, { provider, key_id }: WrappingKeyRow, now: number): Promise<void> {
  if (key_id !== null) await retireIfUnused(transaction, { provider, keyId: key_id }, now)
}
