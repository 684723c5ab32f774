import type { Kysely } from 'kysely'

/** VMs that were taken out of the inventory; what lies on their datastores still needs its keys. */
export async function rememberUnregisteredVms(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('unregistered_vm')
    .addColumn('vm_id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('datastore_name', 'text', (column) => column.notNull())
    .addColumn('folder', 'text', (column) => column.notNull())
    .addColumn('keys', 'text', (column) => column.notNull())
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('unregistered_at', 'bigint', (column) => column.notNull())
    .execute()
}
