import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, sql } from 'kysely'
import { NodeSqliteDialect } from './dialect.ts'
import { SqliteError } from './error.ts'
import { type Migration, migrate } from './migration.ts'

/** How long a statement waits for another process that holds the database. */
export const busyTimeoutMs = 5000

/**
 * Opens the SQLite database at `path`, makes it when it is missing (file 0600, missing folders 0700), and migrates it.
 * `:memory:` is a database that is gone when it is closed.
 *
 * What a transaction wrote is on the disk when `execute` returns (WAL, synchronous FULL). Queries and transactions have
 * the one connection one after another: inside a transaction use the transaction only, a query on the database itself
 * would wait for ever. Deleted content is overwritten with zeros. Close with `destroy()`.
 *
 * Throws `cannot-open`, and what `migrate` throws.
 */
export async function openDatabase<Schema>(path: string, migrations: readonly Migration[]): Promise<Kysely<Schema>> {
  const database = open(path)
  const db = new Kysely<Schema>({ dialect: new NodeSqliteDialect(database) })
  try {
    await migrate(db, migrations)
  } catch (error) {
    database.close()
    throw error
  }
  return db
}

/**
 * Moves what was committed from the write-ahead log into the database file and empties the log, so that what was
 * deleted is no longer in it either. Does nothing for a database in memory. Not within a transaction.
 */
export async function emptyWriteAheadLog<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`pragma wal_checkpoint(truncate)`.execute(db)
}

function open(path: string): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    const memory = path === ':memory:'
    if (!memory) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      // The log and its index get the mode of the database file.
      closeSync(openSync(path, 'a', 0o600))
      chmodSync(path, 0o600)
    }
    database = new DatabaseSync(path, {
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
      timeout: busyTimeoutMs,
      defensive: true,
    })
    for (const [name, value, expected] of pragmas(memory)) {
      database.exec(`pragma ${name} = ${value}`)
      const actual = database.prepare(`pragma ${name}`).get()?.[name]
      if (actual !== expected) throw new Error(`pragma ${name} is ${String(actual)} and not ${value}`)
    }
    return database
  } catch (cause) {
    database?.close()
    const reason = cause instanceof Error ? cause.message : 'unknown error'
    throw new SqliteError('cannot-open', `cannot open the database ${path}: ${reason}`, { cause })
  }
}

function pragmas(memory: boolean): readonly (readonly [name: string, value: string, expected: string | number])[] {
  return [
    ['journal_mode', 'wal', memory ? 'memory' : 'wal'],
    ['synchronous', 'full', 2],
    ['secure_delete', 'on', 1],
    ['trusted_schema', 'off', 0],
  ]
}
