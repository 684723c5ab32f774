import type { KeyReference } from '@cryptvisor/host-agent-api'
import { KeyProviderError } from '@cryptvisor/key-provider'
import type { KeyRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import { pause } from '../../pause.ts'
import { isOnHold } from '../../system/installation.ts'
import type { Database, WorkContext } from '../context.ts'
import { retryDelayMs } from '../retry-delay.ts'
import { findKey, referenceOf, setKeyState, unusedKeys } from './key-rows.ts'
import { Outages } from './outages.ts'
import { destroyAtProvider } from './provider-destroy.ts'

/** Gives up KEKs that wrapped nothing: revoked (cessation of operation) and destroyed, now or when it can be done. */
export class KeyDisposal {
  readonly #work: WorkContext
  readonly #outages = new Outages()
  #background: Promise<void> | null = null

  constructor(work: WorkContext) {
    this.#work = work
  }

  /**
   * Gives up pending KEKs. The caller made sure that they wrap nothing and that the hosts forgot them. One that cannot
   * be destroyed now stays on record as discarded and is tried again. Never throws for a provider's failure.
   */
  async discard(keys: readonly KeyReference[]): Promise<void> {
    for (const key of keys) {
      await this.#work.database.transaction().execute(async (transaction) => {
        const row = await findKey(transaction, key)
        if (row?.state === 'pending')
          await setKeyState(transaction, key, await this.#givenUp(transaction), this.#work.clock())
      })
      await this.#destroy(key)
    }
  }

  /** Takes up what could not be destroyed before, and host keys whose making was cut short with nobody to go on. */
  async start(): Promise<void> {
    const abandoned = await this.#rows('pending')
    for (const row of abandoned) {
      if (row.task_id !== null) continue
      const { database, clock } = this.#work
      await setKeyState(database, referenceOf(row), await this.#givenUp(database), clock())
    }
    if ((await this.#rows('discarded')).length > 0) this.#retryInBackground()
  }

  /** Resolves when nothing goes on in the background any more. */
  async stopped(): Promise<void> {
    await this.#background
  }

  /** After a restore a key may wrap something that is not known here: it is kept. */
  async #givenUp(database: Database): Promise<KeyRow['state']> {
    return (await isOnHold(database)) ? 'retired' : 'discarded'
  }

  async #destroy(key: KeyReference): Promise<void> {
    const row = await findKey(this.#work.database, key)
    if (row?.state !== 'discarded') return
    if (await isOnHold(this.#work.database)) {
      this.#retryInBackground()
      return
    }
    if ((await unusedKeys(this.#work.database, [key])).length === 0) {
      this.#work.log.error({ ...key }, 'a discarded key is in use: it is kept')
      await setKeyState(this.#work.database, key, 'current', this.#work.clock())
      return
    }
    try {
      const provider = await this.#work.keyProviders.get(key.provider)
      await destroyAtProvider(provider, key, 'cessation-of-operation', 'it wrapped nothing')
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      if (!(error instanceof KeyProviderError || error instanceof ControlPlaneError)) throw error
      await this.#failed(row, error)
      return
    }
    await setKeyState(this.#work.database, key, 'destroyed', this.#work.clock())
    this.#outages.ended(keyText(key))
    await this.#record(
      'kms.crypto.key-destroyed',
      row,
      `Key ${key.keyId} wrapped nothing: it was revoked and destroyed`,
    )
  }

  async #failed(row: KeyRow, error: Error): Promise<void> {
    this.#work.log.warn({ err: error, ...referenceOf(row) }, 'a key that nothing uses was not destroyed')
    if (this.#outages.begins(keyText(referenceOf(row)))) {
      await this.#record(
        'kms.crypto.key-cleanup-failed',
        row,
        `Key ${row.key_id} wrapped nothing and could not be revoked and destroyed: ${error.message}. It is tried again until that works`,
      )
    }
    this.#retryInBackground()
  }

  #retryInBackground(): void {
    this.#background ??= this.#retry()
      .catch((error: unknown) => {
        if (!this.#work.stopping.aborted) this.#work.log.error({ err: error }, 'keys that nothing uses are left over')
      })
      .finally(() => {
        this.#background = null
      })
  }

  async #retry(): Promise<void> {
    for (let failureCount = 0; ; failureCount++) {
      await pause(retryDelayMs(this.#work.timings, failureCount), this.#work.stopping)
      const rows = await this.#rows('discarded')
      if (rows.length === 0) return
      for (const row of rows) await this.#destroy(referenceOf(row))
    }
  }

  /** Those whose provider is still set up. */
  async #rows(state: KeyRow['state']): Promise<KeyRow[]> {
    return this.#work.database
      .selectFrom('key')
      .innerJoin('key_provider', 'key_provider.name', 'key.provider')
      .selectAll('key')
      .where('key.state', '=', state)
      .execute()
  }

  async #record(
    type: 'kms.crypto.key-destroyed' | 'kms.crypto.key-cleanup-failed',
    row: KeyRow,
    text: string,
  ): Promise<void> {
    await this.#work.events.record({
      type,
      host: row.owner_kind === 'host' ? row.owner_name : null,
      vm: row.owner_kind === 'vm' ? row.owner_name : null,
      ...referenceOf(row),
      text,
      task: row.task_id,
    })
  }
}
