import type { Kysely } from 'kysely'

/** Certificates of the erasure of VMs. */
export async function addErasures(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('erasure')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('vm_id', 'text', (column) => column.notNull())
    .addColumn('vm_name', 'text', (column) => column.notNull())
    .addColumn('task_id', 'text', (column) => column.notNull().unique())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('statement', 'text', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('erasure_by_vm').on('erasure').column('vm_id').execute()
}
