import { type Kysely, sql } from 'kysely'

/** Disks that were detached: their layers lie where they lay, and can be attached again. */
export async function createDetachedDisks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('detached_disk')
    .addColumn('layer_id', 'text', (column) => column.primaryKey())
    .addColumn('disk_id', 'text', (column) => column.notNull())
    .addColumn('datastore_id', 'text', (column) => column.notNull().references('datastore.id'))
    .addColumn('folder', 'text', (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('format', 'text', (column) => column.notNull().check(sql`format in ('raw', 'qcow2')`))
    .addColumn('payload_bytes', 'bigint', (column) => column.notNull())
    .addColumn('virtual_bytes', 'bigint', (column) => column.notNull())
    .addColumn('encryption', 'text')
    .addColumn('vm_id', 'text', (column) => column.notNull())
    .addColumn('vm_name', 'text', (column) => column.notNull())
    .addColumn('detached_at', 'bigint', (column) => column.notNull())
    .addColumn('detached_by', 'text', (column) => column.notNull())
    .addColumn('task_id', 'text')
    .execute()
  await db.schema
    .createIndex('detached_disk_by_place')
    .on('detached_disk')
    .columns(['datastore_id', 'folder'])
    .execute()
}
