import type { NativeProvider } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { NativeProviderRow } from '../../../database/native-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { derivationKeysOf } from './derivation-keys.ts'

/** What is on record of a native provider; `null`: it is none. */
export async function nativeRow(database: Kysely<Schema>, provider: string): Promise<NativeProviderRow | null> {
  const row = await database
    .selectFrom('native_provider')
    .selectAll()
    .where('provider', '=', provider)
    .executeTakeFirst()
  return row ?? null
}

/** Throws `not-found` for a provider that is not there, `invalid` for a standard one. */
export async function requireNative(database: Kysely<Schema>, provider: string): Promise<NativeProviderRow> {
  const row = await nativeRow(database, provider)
  if (row !== null) return row
  const other = await database.selectFrom('key_provider').select('name').where('name', '=', provider).executeTakeFirst()
  if (other === undefined) {
    const message = `there is no key provider ${provider}: see «key-provider list»`
    throw new ControlPlaneError('not-found', message, { field: 'name' })
  }
  const message = `key provider ${provider} is a standard one: its keys lie in its key servers, and are backed up there`
  throw new ControlPlaneError('invalid', message, { field: 'name' })
}

/** How many of its generations' keys are not destroyed, by generation. */
export async function livingKeys(database: Kysely<Schema>, provider: string): Promise<ReadonlyMap<number, number>> {
  const rows = await database
    .selectFrom('native_key')
    .select(['generation', (builder) => builder.fn.countAll<number>().as('count')])
    .where('provider', '=', provider)
    .where('state', 'not in', ['Destroyed', 'DestroyedCompromised'])
    .groupBy('generation')
    .execute()
  return new Map(rows.map(({ generation, count }) => [generation, Number(count)]))
}

/** What users see of a native provider; `null`: it is none. */
export async function nativeView(database: Kysely<Schema>, provider: string): Promise<NativeProvider | null> {
  const row = await nativeRow(database, provider)
  if (row === null) return null
  const living = await livingKeys(database, provider)
  const generations = (await derivationKeysOf(database, provider)).map((key) => ({
    generation: key.generation,
    createdAt: timeText(key.created_at),
    backedUpAt: timeTextOrNull(key.backed_up_at),
    keyCount: living.get(key.generation) ?? 0,
  }))
  return {
    generation: row.generation,
    isBackedUp: generations.some(({ generation, backedUpAt }) => generation === row.generation && backedUpAt !== null),
    restoredAt: timeTextOrNull(row.restored_at),
    generations,
  }
}

/** What keeps a native provider from making keys. */
export function notBackedUp(provider: string): string {
  return `its derivation key was not backed up yet: «key-provider backup ${provider} --out FILE»`
}
