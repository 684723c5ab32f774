import { type Kysely, sql } from 'kysely'

/** Whether VMs comply with their policies, KEKs that were revoked behind our back, and what that means for VMs. */
export async function createCompliance(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('vm_compliance')
    .addColumn('vm_id', 'text', (column) => column.primaryKey().references('vm.id').onDelete('cascade'))
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('compliant', 'non-compliant', 'unknown')`),
    )
    .addColumn('reasons', 'text', (column) => column.notNull())
    .addColumn('since', 'bigint', (column) => column.notNull())
    .addColumn('checked_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('key_revocation')
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('found_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('key_revocation_primary', ['provider', 'key_id'])
    .execute()
  await db.schema
    .createTable('vm_revocation')
    .addColumn('vm_id', 'text', (column) => column.notNull().references('vm.id').onDelete('cascade'))
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('rule', 'text', (column) => column.notNull())
    .addColumn('policy', 'text', (column) => column.notNull())
    .addColumn('found_at', 'bigint', (column) => column.notNull())
    .addColumn('stop_at', 'bigint')
    .addColumn('stopped_at', 'bigint')
    .addPrimaryKeyConstraint('vm_revocation_primary', ['vm_id', 'provider', 'key_id'])
    .execute()
  await db.schema.createIndex('vm_revocation_by_key').on('vm_revocation').columns(['provider', 'key_id']).execute()
}
