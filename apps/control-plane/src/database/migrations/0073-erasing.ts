import type { Kysely } from 'kysely'

/** VMs whose keys are being destroyed for good: no host is given them any more. */
export async function addErasing(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('vm_erasing')
    .addColumn('vm_id', 'text', (column) => column.primaryKey().references('vm.id').onDelete('cascade'))
    .execute()
}
