import { type Kysely, sql } from 'kysely'

/** Where events and records of the audit are sent to, and what could not be delivered. */
export async function createNotifications(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('notification_target')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull().check(sql`kind in ('webhook', 'email', 'syslog')`))
    .addColumn('source', 'text', (column) => column.notNull().check(sql`source in ('events', 'audit')`))
    .addColumn('config', 'text', (column) => column.notNull())
    .addColumn('severity', 'text', (column) => column.notNull().check(sql`severity in ('info', 'warning', 'error')`))
    .addColumn('types', 'text', (column) => column.notNull())
    .addColumn('enabled', 'integer', (column) => column.notNull().check(sql`enabled in (0, 1)`))
    .addColumn('secret_sealed', 'bytea')
    .addColumn('cursor', 'bigint', (column) => column.notNull())
    .addColumn('failed_count', 'integer', (column) => column.notNull())
    .addColumn('failed_since', 'bigint')
    .addColumn('next_try_at', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('last_sent_at', 'bigint')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('notification_loss')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('target', 'text', (column) =>
      column.notNull().references('notification_target.name').onDelete('cascade'),
    )
    .addColumn('first_item', 'bigint', (column) => column.notNull())
    .addColumn('last_item', 'bigint', (column) => column.notNull())
    .addColumn('item_count', 'bigint', (column) => column.notNull())
    .addColumn('error', 'text', (column) => column.notNull())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .execute()
}
