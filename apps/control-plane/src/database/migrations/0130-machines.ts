import { type Kysely, sql } from 'kysely'

/** Which host has a VM to run it, and how that is; and what hosts run that is not theirs to run. */
export async function addMachines(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('machine')
    .addColumn('vm_id', 'text', (column) => column.primaryKey().references('vm.id').onDelete('cascade'))
    // A host that is gone leaves the number of its lease.
    .addColumn('host_id', 'text', (column) => column.notNull())
    .addColumn('lease', 'bigint', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('off', 'starting', 'running', 'paused', 'stopping', 'failed', 'unknown')`),
    )
    .addColumn('reason', 'text')
    .addColumn('since', 'bigint', (column) => column.notNull())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .addColumn('acceleration', 'text')
    .addColumn('qemu', 'text')
    .addColumn('reported_at', 'bigint')
    .execute()
  await db.schema.createIndex('machine_by_host').on('machine').column('host_id').execute()
  await db.schema
    .createTable('stray_machine')
    .addColumn('host_id', 'text', (column) => column.notNull().references('host.id').onDelete('cascade'))
    .addColumn('vm_id', 'text', (column) => column.notNull())
    .addColumn('lease', 'bigint', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('since', 'bigint', (column) => column.notNull())
    .addColumn('reported_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('stray_machine_primary', ['host_id', 'vm_id'])
    .execute()
  await db.schema.createIndex('stray_machine_by_vm').on('stray_machine').column('vm_id').execute()
}
