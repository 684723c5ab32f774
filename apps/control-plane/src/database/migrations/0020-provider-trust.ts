import { type Kysely, sql } from 'kysely'
import { v7 } from 'uuid'

interface Before {
  key_provider: { name: string; client_certificate: string; client_key_sealed: Uint8Array; created_at: number }
  provider_identity: {
    id: string
    provider: string
    way: string
    state: string
    certificate: string
    csr: string | null
    key_sealed: Uint8Array
    created_at: number
  }
}

/**
 * A key provider can be there before any certificate is, and have a second client certificate that waits; so client
 * certificates move into a table of their own. What probes find, the keys that they made, and the default providers of
 * entities come with it.
 */
export async function createProviderTrust(untyped: Kysely<unknown>): Promise<void> {
  // The columns that the migrations before made.
  const db = untyped as Kysely<Before>
  await db.schema
    .createTable('provider_identity')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('provider', 'text', (column) => column.notNull().references('key_provider.name').onDelete('cascade'))
    .addColumn('way', 'text', (column) =>
      column.notNull().check(sql`way in ('root-ca', 'self-signed', 'upload', 'csr')`),
    )
    .addColumn('state', 'text', (column) => column.notNull().check(sql`state in ('active', 'prepared')`))
    .addColumn('certificate', 'text', (column) => column.notNull())
    .addColumn('csr', 'text')
    .addColumn('key_sealed', 'bytea', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('provider_identity_state', ['provider', 'state'])
    .execute()
  for (const row of await db.selectFrom('key_provider').selectAll().execute()) {
    await db
      .insertInto('provider_identity')
      .values({
        id: v7(),
        provider: row.name,
        way: 'upload',
        state: 'active',
        certificate: row.client_certificate,
        csr: null,
        key_sealed: row.client_key_sealed,
        created_at: row.created_at,
      })
      .execute()
  }
  await db.schema.alterTable('key_provider').dropColumn('client_certificate').execute()
  await db.schema.alterTable('key_provider').dropColumn('client_key_sealed').execute()
  await db.schema.alterTable('key_provider').addColumn('display_name', 'text').execute()
  await db.schema
    .createTable('provider_health')
    .addColumn('provider', 'text', (column) => column.primaryKey().references('key_provider.name').onDelete('cascade'))
    .addColumn('health', 'text', (column) => column.notNull().check(sql`health in ('green', 'yellow', 'red')`))
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('since', 'bigint', (column) => column.notNull())
    .addColumn('probed_at', 'bigint', (column) => column.notNull())
    .addColumn('servers', 'text', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('probe_key')
    .addColumn('provider', 'text', (column) => column.notNull().references('key_provider.name').onDelete('cascade'))
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('probe_key_primary', ['provider', 'key_id'])
    .execute()
  await db.schema
    .createTable('provider_default')
    .addColumn('entity_kind', 'text', (column) => column.notNull().check(sql`entity_kind in ('cluster', 'folder')`))
    .addColumn('entity_id', 'text', (column) => column.notNull())
    .addColumn('provider', 'text', (column) => column.notNull().references('key_provider.name').onDelete('cascade'))
    .addPrimaryKeyConstraint('provider_default_primary', ['entity_kind', 'entity_id'])
    .execute()
  await db.schema.createIndex('provider_default_by_provider').on('provider_default').column('provider').execute()
}
