import { derivationKeySizeBytes } from '@cryptvisor/key-provider'
import type { Barrier } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { DerivationKeyRow } from '../../../database/native-rows.ts'
import type { Schema } from '../../../database/schema.ts'

/** Makes a generation's derivation key, sealed; bytes of it are nowhere else. */
export function newDerivationKey(
  barrier: Barrier,
  provider: string,
  generation: number,
  now: number,
): DerivationKeyRow {
  using key = Secret.random(derivationKeySizeBytes)
  return sealDerivationKey(barrier, provider, generation, key, now)
}

/** The row of a derivation key, which stays the caller's. */
export function sealDerivationKey(
  barrier: Barrier,
  provider: string,
  generation: number,
  key: Secret,
  now: number,
): DerivationKeyRow {
  const sealed = barrier.seal(contextOf({ provider, generation }), key)
  return { provider, generation, sealed, created_at: now, backed_up_at: null }
}

/** A derivation key, for the caller to dispose of. Throws `KeyStoreError` when its row was changed. */
export function unsealDerivationKey(barrier: Barrier, row: DerivationKeyRow): Secret {
  return barrier.unseal(contextOf(row), row.sealed)
}

/** The generations of a provider that are there, the oldest first. */
export async function derivationKeysOf(database: Kysely<Schema>, provider: string): Promise<DerivationKeyRow[]> {
  return database
    .selectFrom('derivation_key')
    .selectAll()
    .where('provider', '=', provider)
    .orderBy('generation')
    .execute()
}

function contextOf({ provider, generation }: Pick<DerivationKeyRow, 'provider' | 'generation'>) {
  return { type: 'derivation key of a native key provider', provider, generation }
}
