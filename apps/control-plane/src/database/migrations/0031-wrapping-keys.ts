import { type Kysely, sql } from 'kysely'

/** KEKs may belong to key providers, too, for all VMs that take them; a check cannot be changed in place. */
export async function addWrappingKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('wrapping_key')
    .addColumn('provider', 'text', (column) => column.primaryKey().references('key_provider.name').onDelete('cascade'))
    .addColumn('key_id', 'text')
    .addColumn('since', 'bigint')
    .addColumn('rotation_ms', 'bigint')
    .addColumn('due_at', 'bigint')
    .addCheckConstraint('wrapping_key_since', sql`(key_id is null) = (since is null)`)
    .addCheckConstraint('wrapping_key_due', sql`(rotation_ms is null) = (due_at is null)`)
    .execute()
  await db.schema
    .alterTable('key')
    .addColumn('owner', 'text', (column) =>
      column.notNull().defaultTo('vm').check(sql`owner in ('vm', 'host', 'key-provider')`),
    )
    .execute()
  await sql`update key set owner = owner_kind`.execute(db)
  await db.schema.alterTable('key').dropColumn('owner_kind').execute()
  await db.schema.alterTable('key').renameColumn('owner', 'owner_kind').execute()
}
