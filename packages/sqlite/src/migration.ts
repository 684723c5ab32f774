import type { Kysely, Transaction } from 'kysely'
import { SqliteError } from './error.ts'

/**
 * One step that changes the schema, never taken back. A step that was released is never edited, renamed or moved: new
 * steps go to the end of the list. Steps use only SQL that SQLite and PostgreSQL share: ids are `text`, times are
 * milliseconds since 1970 in `bigint`, JSON is `text`, bytes are `bytea`.
 */
export interface Migration {
  /** Unique in its list, for instance `0001-objects`. */
  readonly name: string
  readonly up: (transaction: Transaction<unknown>) => Promise<void>
}

interface MigrationSchema {
  schema_migration: { position: number; name: string }
}

/**
 * Runs the steps that `db` has not seen, in order, all in one transaction: afterwards all of them are done or none.
 * Throws `newer-database` when the database has steps that the list lacks, `other-migrations` when it was migrated by
 * another list, `migration-failed` when a step throws.
 */
export async function migrate<Schema>(db: Kysely<Schema>, migrations: readonly Migration[]): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    // The schema of our own table, which no other list of tables names.
    const own = transaction as unknown as Transaction<MigrationSchema>
    await own.schema
      .createTable('schema_migration')
      .ifNotExists()
      .addColumn('position', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .execute()
    const done = await own.selectFrom('schema_migration').select('name').orderBy('position').execute()
    const doneCount = countDone(
      done.map((row) => row.name),
      migrations,
    )
    for (const [index, migration] of migrations.entries()) {
      if (index < doneCount) continue
      await run(migration, transaction as unknown as Transaction<unknown>)
      await own.insertInto('schema_migration').values({ position: index, name: migration.name }).execute()
    }
  })
}

/** How many of `migrations` were done, after checking that they are the ones that were. */
function countDone(done: readonly string[], migrations: readonly Migration[]): number {
  for (const [index, name] of done.entries()) {
    const expected = migrations[index]?.name
    if (expected === undefined) {
      throw new SqliteError(
        'newer-database',
        `the database has the schema step "${name}", which this program does not know: use the newer program`,
      )
    }
    if (expected !== name) {
      throw new SqliteError(
        'other-migrations',
        `schema step ${index} of the database is "${name}", this program's is "${expected}": is it the right database?`,
      )
    }
  }
  return done.length
}

async function run(migration: Migration, transaction: Transaction<unknown>): Promise<void> {
  try {
    await migration.up(transaction)
  } catch (cause) {
    throw new SqliteError('migration-failed', `schema step "${migration.name}" failed; the database is unchanged`, {
      cause,
    })
  }
}
