import { type Kysely, sql } from 'kysely'

/** Who set up whose account: one person with two accounts cannot be the second user of their own request. */
export async function rememberAccountActs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('account_act')
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('by_user', 'text', (column) => column.notNull())
    .addColumn('act', 'text', (column) =>
      column.notNull().check(sql`act in ('made', 'password', 'second-factor', 'rights')`),
    )
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('account_act_primary', ['user_name', 'by_user', 'act'])
    .execute()
}
