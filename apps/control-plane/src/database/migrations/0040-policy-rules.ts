import { type Kysely, sql } from 'kysely'

/** Storage policies get rules, a version and a mark of those that are always there; parts know which version they got. */
export async function addPolicyRules(db: Kysely<unknown>): Promise<void> {
  for (const name of ['hardened', 'verify', 'system']) {
    await db.schema
      .alterTable('policy')
      .addColumn(name, 'integer', (column) => column.notNull().defaultTo(0))
      .execute()
  }
  for (const name of ['rotation_days', 'grace_minutes'] as const) {
    await db.schema.alterTable('policy').addColumn(name, 'integer').execute()
  }
  for (const name of ['key_provider', 'changed_by']) {
    await db.schema.alterTable('policy').addColumn(name, 'text').execute()
  }
  await db.schema.alterTable('policy').addColumn('changed_at', 'bigint').execute()
  await db.schema
    .alterTable('policy')
    .addColumn('on_revocation', 'text', (column) =>
      column
        .notNull()
        .defaultTo('keep-running')
        .check(sql`on_revocation in ('keep-running', 'stop', 'stop-after-grace')`),
    )
    .execute()
  for (const table of ['policy', 'vm', 'disk']) {
    const name = table === 'policy' ? 'version' : 'policy_version'
    await db.schema
      .alterTable(table)
      .addColumn(name, 'integer', (column) => column.notNull().defaultTo(1))
      .execute()
  }
  // No policy could be made before this.
  await sql`update policy set system = 1`.execute(db)
}
