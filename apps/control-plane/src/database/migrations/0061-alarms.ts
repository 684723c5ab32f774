import { type Kysely, sql } from 'kysely'

/** Alarms with their history, what was changed of their definitions, and how long events and alarms are kept. */
export async function createAlarms(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('alarm')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('definition', 'text', (column) => column.notNull())
    .addColumn('object_kind', 'text', (column) => column.notNull())
    .addColumn('object', 'text', (column) => column.notNull())
    .addColumn('severity', 'text', (column) => column.notNull().check(sql`severity in ('yellow', 'red')`))
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('count', 'integer', (column) => column.notNull())
    .addColumn('raised_at', 'bigint', (column) => column.notNull())
    .addColumn('last_at', 'bigint', (column) => column.notNull())
    .addColumn('acknowledged_at', 'bigint')
    .addColumn('acknowledged_by', 'text')
    .addColumn('cleared_at', 'bigint')
    .addColumn('cleared_by', 'text')
    .execute()
  await db.schema
    .createIndex('alarm_once')
    .unique()
    .on('alarm')
    .columns(['definition', 'object'])
    .where(sql.ref('cleared_at'), 'is', null)
    .execute()
  await db.schema.createIndex('alarm_by_object').on('alarm').columns(['object_kind', 'object']).execute()
  await db.schema
    .createTable('alarm_setting')
    .addColumn('definition', 'text', (column) => column.primaryKey())
    .addColumn('enabled', 'integer', (column) => column.notNull().check(sql`enabled in (0, 1)`))
    .addColumn('threshold', 'bigint')
    .execute()
  await db.schema
    .createTable('retention')
    .addColumn('kind', 'text', (column) => column.primaryKey().check(sql`kind in ('event', 'alarm')`))
    .addColumn('days', 'bigint', (column) => column.notNull())
    .execute()
}
