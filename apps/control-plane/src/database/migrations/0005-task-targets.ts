import { type Kysely, sql } from 'kysely'

/** Tasks are about more than VMs and hosts; which kinds there are, the API says. A check cannot be changed in place. */
export async function letTasksHaveAnyTarget(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('task')
    .addColumn('about', 'text', (column) => column.notNull().defaultTo('vm'))
    .execute()
  await sql`update task set about = target_kind`.execute(db)
  await db.schema.alterTable('task').dropColumn('target_kind').execute()
  await db.schema.alterTable('task').renameColumn('about', 'target_kind').execute()
}
