import type { KeyProvider as KeyProviderView } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'
import type { KeyProviderRow, Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { missingOf, type ProviderCompanions, toView } from '../provider-view.ts'
import { nativeView } from './native/native-state.ts'

/** The provider's row; throws `not-found`. */
export async function findProviderRow(database: Kysely<Schema>, name: string): Promise<KeyProviderRow> {
  const row = await database.selectFrom('key_provider').selectAll().where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `there is no key provider ${name}: see «key-provider list»`, {
    field: 'name',
  })
}

/** The row of a provider that has servers; throws `not-found`, and `invalid` for a native one. */
export async function findStandardRow(database: Kysely<Schema>, name: string): Promise<KeyProviderRow> {
  const row = await findProviderRow(database, name)
  if ((await nativeView(database, name)) === null) return row
  throw new ControlPlaneError(
    'invalid',
    `name: key provider ${name} is native: it has no servers, and no certificates to trust`,
    { field: 'name' },
  )
}

/** The client certificate of a provider in that state; `null` when there is none. */
export async function identityOf(
  database: Kysely<Schema>,
  provider: string,
  state: ProviderIdentityRow['state'],
): Promise<ProviderIdentityRow | null> {
  const row = await database
    .selectFrom('provider_identity')
    .selectAll()
    .where('provider', '=', provider)
    .where('state', '=', state)
    .executeTakeFirst()
  return row ?? null
}

/** What lies beside the provider's row. */
export async function companionsOf(database: Kysely<Schema>, provider: string): Promise<ProviderCompanions> {
  const active = await identityOf(database, provider, 'active')
  const health = await database
    .selectFrom('provider_health')
    .selectAll()
    .where('provider', '=', provider)
    .executeTakeFirst()
  const wrapping = await database
    .selectFrom('wrapping_key')
    .selectAll()
    .where('provider', '=', provider)
    .executeTakeFirst()
  return {
    active,
    health: health ?? null,
    native: await nativeView(database, provider),
    wrapping: wrapping ?? null,
  }
}

/** What users see of a provider. Throws `not-found`. */
export async function providerView(database: Kysely<Schema>, name: string): Promise<KeyProviderView> {
  return toView(await findProviderRow(database, name), await companionsOf(database, name))
}

/** The identity that is shown to the servers. Throws `no-key-provider` while something is missing, and says what. */
export async function requireActive(database: Kysely<Schema>, row: KeyProviderRow): Promise<ProviderIdentityRow> {
  const active = await identityOf(database, row.name, 'active')
  const missing = missingOf(row, active, null)
  if (active !== null && missing === null) return active
  throw new ControlPlaneError('no-key-provider', `key provider ${row.name} is not set up: ${missing}`)
}
