import { giveUpProbeKey, type KeyProvider, KeyProviderError, type ProbeWatch } from '@cryptvisor/key-provider'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'

/** How many keys of earlier probes are given up before a probe. */
const leftOverMax = 16

/** Keeps on record which keys probes made, so that none is left at a key server when a probe is cut short. */
export class ProbeKeys {
  readonly #database: Kysely<Schema>
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /** Writes down the keys of one probe. */
  watch(provider: string): ProbeWatch {
    return {
      made: async (keyId) => {
        const row = { provider, key_id: keyId, created_at: this.#clock() }
        await this.#database.insertInto('probe_key').values(row).execute()
      },
      gone: (keyId) => this.#forget(provider, keyId),
    }
  }

  /** Destroys what earlier probes left, as far as that can be done now. The oldest first; what fails waits for the next time. */
  async clean(provider: KeyProvider): Promise<void> {
    const left = await this.#database
      .selectFrom('probe_key')
      .select('key_id')
      .where('provider', '=', provider.id)
      .orderBy('created_at')
      .limit(leftOverMax)
      .execute()
    for (const { key_id } of left) {
      try {
        await giveUpProbeKey(provider, key_id)
      } catch (error) {
        if (!(error instanceof KeyProviderError)) throw error
        if (error.code === 'unreachable' || error.code === 'not-trusted') return
        continue
      }
      await this.#forget(provider.id, key_id)
    }
  }

  async #forget(provider: string, keyId: string): Promise<void> {
    await this.#database.deleteFrom('probe_key').where('provider', '=', provider).where('key_id', '=', keyId).execute()
  }
}
