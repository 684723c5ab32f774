import type { Kysely } from 'kysely'

/** What was answered to requests that came with an `Idempotency-Key`. */
export async function createRequestKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('request_key')
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('request_key', 'text', (column) => column.notNull())
    .addColumn('fingerprint', 'text', (column) => column.notNull())
    .addColumn('status', 'integer')
    .addColumn('answer', 'text')
    .addColumn('task_id', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('request_key_primary', ['user_name', 'request_key'])
    .execute()
  await db.schema.createIndex('request_key_by_time').on('request_key').column('created_at').execute()
}
