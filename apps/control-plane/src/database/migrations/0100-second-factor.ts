import { type Kysely, sql } from 'kysely'

/** Second factors with their recovery codes, and who needs one. */
export async function addSecondFactors(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('second_factor')
    .addColumn('user_name', 'text', (column) => column.primaryKey().references('user.name').onDelete('cascade'))
    .addColumn('sealed_secret', 'blob', (column) => column.notNull())
    .addColumn('confirmed_at', 'bigint')
    .addColumn('last_step', 'bigint', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('recovery_code')
    .addColumn('user_name', 'text', (column) =>
      column.notNull().references('second_factor.user_name').onDelete('cascade'),
    )
    .addColumn('code_sha256', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('recovery_code_primary', ['user_name', 'code_sha256'])
    .execute()
  await db.schema
    .createTable('login_rule')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('second_factor', 'text', (column) =>
      column.notNull().check(sql`second_factor in ('nobody', 'administrators', 'everybody')`),
    )
    .execute()
}
