import type { CurrentGeneration, NativeKey, NativeKeyChange, NativeKeyStore } from '@cryptvisor/key-provider'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely, Updateable } from 'kysely'
import type { NativeKeyRow } from '../../../database/native-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { unsealDerivationKey } from './derivation-keys.ts'

/** A native provider's derivation keys and the records of its keys, in the control plane's database. */
export class NativeKeyTable implements NativeKeyStore {
  readonly #database: Kysely<Schema>
  readonly #barrier: Barrier
  readonly #provider: string

  constructor(database: Kysely<Schema>, barrier: Barrier, provider: string) {
    this.#database = database
    this.#barrier = barrier
    this.#provider = provider
  }

  async current(): Promise<CurrentGeneration> {
    const row = await this.#database
      .selectFrom('native_provider')
      .leftJoin('derivation_key', (join) =>
        join
          .onRef('derivation_key.provider', '=', 'native_provider.provider')
          .onRef('derivation_key.generation', '=', 'native_provider.generation'),
      )
      .select(['native_provider.generation', 'derivation_key.backed_up_at'])
      .where('native_provider.provider', '=', this.#provider)
      .executeTakeFirst()
    if (row === undefined) throw gone(this.#provider)
    return { generation: row.generation, isBackedUp: row.backed_up_at !== null }
  }

  async derivationKey(generation: number): Promise<Secret | null> {
    const row = await this.#database
      .selectFrom('derivation_key')
      .selectAll()
      .where('provider', '=', this.#provider)
      .where('generation', '=', generation)
      .executeTakeFirst()
    return row === undefined ? null : unsealDerivationKey(this.#barrier, row)
  }

  async mayLackRecords(): Promise<boolean> {
    const row = await this.#database
      .selectFrom('native_provider')
      .select('restored_at')
      .where('provider', '=', this.#provider)
      .executeTakeFirst()
    if (row === undefined) return false
    if (row.restored_at !== null) return true
    // A control plane that was restored lacks the records of what was made after its backup.
    const installation = await this.#database.selectFrom('installation').select('restored_at').executeTakeFirst()
    return installation !== undefined && installation.restored_at !== null
  }

  async insert(key: NativeKey): Promise<void> {
    const generation = Number(key.keyId.split('-')[0])
    await this.#database
      .insertInto('native_key')
      .values({
        provider: this.#provider,
        key_id: key.keyId,
        generation,
        created_at: key.createdAt,
        state: key.state,
        labels: JSON.stringify(key.labels),
        activated_at: key.activatedAt,
        revoked_at: key.revokedAt,
        revocation: key.revocation,
        destroyed_at: key.destroyedAt,
      })
      // Of a key whose record was lacking: two may ask for it at once.
      .onConflict((conflict) => conflict.columns(['provider', 'key_id']).doNothing())
      .execute()
  }

  async find(keyId: string): Promise<NativeKey | null> {
    const row = await this.#database
      .selectFrom('native_key')
      .selectAll()
      .where('provider', '=', this.#provider)
      .where('key_id', '=', keyId)
      .executeTakeFirst()
    return row === undefined ? null : keyOf(row)
  }

  async change(keyId: string, from: NativeKey['state'], change: NativeKeyChange): Promise<boolean> {
    const { numUpdatedRows } = await this.#database
      .updateTable('native_key')
      .set(columnsOf(change))
      .where('provider', '=', this.#provider)
      .where('key_id', '=', keyId)
      .where('state', '=', from)
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  async list(offset: number, limit: number): Promise<readonly NativeKey[]> {
    const rows = await this.#database
      .selectFrom('native_key')
      .selectAll()
      .where('provider', '=', this.#provider)
      .orderBy('created_at')
      .orderBy('key_id')
      .limit(limit)
      .offset(offset)
      .execute()
    return rows.map(keyOf)
  }
}

function keyOf(row: NativeKeyRow): NativeKey {
  return {
    keyId: row.key_id,
    state: row.state,
    // Written by `insert` and `change`.
    labels: JSON.parse(row.labels) as Record<string, string>,
    createdAt: row.created_at,
    activatedAt: row.activated_at,
    revokedAt: row.revoked_at,
    revocation: row.revocation,
    destroyedAt: row.destroyed_at,
  }
}

function columnsOf(change: NativeKeyChange): Updateable<NativeKeyRow> {
  const { state, labels, activatedAt, revokedAt, revocation, destroyedAt } = change
  return {
    ...(state === undefined ? {} : { state }),
    ...(labels === undefined ? {} : { labels: JSON.stringify(labels) }),
    ...(activatedAt === undefined ? {} : { activated_at: activatedAt }),
    ...(revokedAt === undefined ? {} : { revoked_at: revokedAt }),
    ...(revocation === undefined ? {} : { revocation }),
    ...(destroyedAt === undefined ? {} : { destroyed_at: destroyedAt }),
  }
}

function gone(provider: string): ControlPlaneError {
  return new ControlPlaneError('not-found', `there is no native key provider ${provider} any more`)
}
