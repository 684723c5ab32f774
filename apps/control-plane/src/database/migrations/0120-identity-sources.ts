import { type Kysely, sql } from 'kysely'

/** Where users come from that are not our own, and which of their groups are which of ours. */
export async function addIdentitySources(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('identity_source')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull().check(sql`kind in ('oidc', 'ldap')`))
    .addColumn('config', 'text', (column) => column.notNull())
    .addColumn('secret_sealed', 'blob')
    .addColumn('enabled', 'integer', (column) => column.notNull().check(sql`enabled in (0, 1)`))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('group_mapping')
    .addColumn('source_name', 'text', (column) =>
      column.notNull().references('identity_source.name').onDelete('cascade'),
    )
    .addColumn('external_name', 'text', (column) => column.notNull())
    .addColumn('group_name', 'text', (column) => column.notNull().references('user_group.name').onDelete('cascade'))
    .addPrimaryKeyConstraint('group_mapping_primary', ['source_name', 'external_name', 'group_name'])
    .execute()
  await db.schema
    .createTable('external_user')
    .addColumn('user_name', 'text', (column) => column.primaryKey().references('user.name').onDelete('cascade'))
    .addColumn('source_name', 'text', (column) => column.notNull().references('identity_source.name'))
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('checked_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('external_user_subject', ['source_name', 'subject'])
    .execute()
  await db.schema
    .alterTable('group_member')
    .addColumn('from_source', 'integer', (column) => column.notNull().defaultTo(0))
    .execute()
}
