import { type Kysely, sql } from 'kysely'

/** What is known of hosts beside their host key, of locked VMsand of keys that were looked at. */
export async function addHostStates(db: Kysely<unknown>): Promise<void> {
  await addHostColumns(db)
  await db.schema
    .alterTable('cluster')
    .addColumn('crypto_forced', 'integer', (column) => column.check(sql`crypto_forced in (0, 1)`))
    .execute()
  await db.schema.alterTable('vm').addColumn('lock_cause', 'text').execute()
  await db.schema.alterTable('vm').addColumn('lock_since', 'bigint').execute()
  await createKeyHealth(db)
  await createExposedKeys(db)
}

async function addHostColumns(db: Kysely<unknown>): Promise<void> {
  for (const [name, type] of [
    ['boot_id', 'text'],
    ['crypto_wanted_by', 'text'],
    ['crypto_off_at', 'bigint'],
    ['crypto_off_boot_id', 'text'],
    ['leaving_task_id', 'text'],
    ['decommissioned_at', 'bigint'],
    ['next_certificate_serial', 'text'],
    ['next_certificate_expires_at', 'bigint'],
    ['certificate_begins_at', 'bigint'],
  ] as const) {
    await db.schema.alterTable('host').addColumn(name, type).execute()
  }
}

async function createKeyHealth(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('key_health')
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('checked_at', 'bigint', (column) => column.notNull())
    .addColumn('verified_at', 'bigint')
    .addColumn('bad_since', 'bigint')
    .addPrimaryKeyConstraint('key_health_primary', ['provider', 'key_id'])
    .execute()
  await db.schema.createIndex('key_health_by_state').on('key_health').column('state').execute()
}

async function createExposedKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('exposed_key')
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('host_id', 'text', (column) => column.notNull())
    .addColumn('host_name', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('exposed_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('exposed_key_primary', ['provider', 'key_id', 'host_id'])
    .execute()
}
