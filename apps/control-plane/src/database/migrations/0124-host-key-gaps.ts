import { type Kysely, sql } from 'kysely'

/** Hosts that were found without keys that they need. */
export async function keepHostKeyGaps(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('host_key_gap')
    .addColumn('host_id', 'text', (column) => column.primaryKey().references('host.id').onDelete('cascade'))
    .addColumn('needed_count', 'integer', (column) => column.notNull())
    .addColumn('missing_count', 'integer', (column) => column.notNull())
    .addColumn('lacks_host_key', 'integer', (column) => column.notNull().check(sql`lacks_host_key in (0, 1)`))
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('since', 'bigint', (column) => column.notNull())
    .addColumn('is_told', 'integer', (column) => column.notNull().check(sql`is_told in (0, 1)`))
    .addColumn('is_known', 'integer', (column) => column.notNull().check(sql`is_known in (0, 1)`))
    .execute()
}
