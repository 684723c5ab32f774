import { type Kysely, sql } from 'kysely'

/** Key providers without a key server: their derivation keys, and what is on record of the keys derived from them. */
export async function addNativeProviders(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('native_provider')
    .addColumn('provider', 'text', (column) => column.primaryKey().references('key_provider.name').onDelete('cascade'))
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('restored_at', 'bigint')
    .addColumn('exported_sha256', 'text')
    .addColumn('exported_generation', 'integer')
    .execute()
  await db.schema
    .createTable('derivation_key')
    .addColumn('provider', 'text', (column) =>
      column.notNull().references('native_provider.provider').onDelete('cascade'),
    )
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('sealed', 'bytea', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('backed_up_at', 'bigint')
    .addPrimaryKeyConstraint('derivation_key_primary', ['provider', 'generation'])
    .execute()
  await db.schema
    .createTable('native_key')
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('generation', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column
        .notNull()
        .check(
          sql`state in ('PreActive', 'Active', 'Deactivated', 'Compromised', 'Destroyed', 'DestroyedCompromised')`,
        ),
    )
    .addColumn('labels', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('activated_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .addColumn('revocation', 'text')
    .addColumn('destroyed_at', 'bigint')
    .addPrimaryKeyConstraint('native_key_primary', ['provider', 'key_id'])
    .execute()
  await db.schema
    .createIndex('native_key_by_age')
    .on('native_key')
    .columns(['provider', 'created_at', 'key_id'])
    .execute()
  await db.schema
    .createIndex('native_key_by_generation')
    .on('native_key')
    .columns(['provider', 'generation', 'state'])
    .execute()
}
