import { type Kysely, sql } from 'kysely'

/** Backups that are made by themselves, and the age of the last one. */
export async function scheduleBackups(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('backup_schedule')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('folder', 'text')
    .addColumn('interval_ms', 'bigint')
    .addColumn('keep_count', 'integer')
    .addColumn('last_success_at', 'bigint')
    .addColumn('last_attempt_at', 'bigint')
    .addColumn('last_failure', 'text')
    .addCheckConstraint(
      'schedule_whole',
      sql`(folder is null) = (interval_ms is null) and (folder is null) = (keep_count is null)`,
    )
    .execute()
  await sql`insert into backup_schedule (id) values (1)`.execute(db)
}
