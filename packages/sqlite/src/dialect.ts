import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely'

/** How many prepared statements are kept. A program has some hundred; the oldest ones are prepared again. */
const statementsMax = 500

/** Speaks to `node:sqlite` for Kysely, which lets one query or transaction at a time have the one connection. */
export class NodeSqliteDialect implements Dialect {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  createDriver(): Driver {
    return new ImmediateDriver(this.#database)
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    return new SqliteAdapter()
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}

/**
 * Takes the write lock when a transaction begins. With a plain BEGIN, a transaction that reads first and then writes
 * fails at once, whatever the busy timeout, where another process wrote in between.
 */
class ImmediateDriver extends SqliteDriver {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    super({ database: statements(database) })
    this.#database = database
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  /** SQLite rolls back by itself on a full disk; a second ROLLBACK would then hide the first error. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.isTransaction) await super.rollbackTransaction(connection)
  }
}

/** What Kysely wants of a database, with a bounded cache of prepared statements, least recently used first. */
function statements(database: DatabaseSync): SqliteDatabase {
  const cache = new Map<string, SqliteStatement>()
  return {
    close: () => {
      cache.clear()
      database.close()
    },
    prepare: (sql) => {
      const statement = cache.get(sql) ?? adapt(database.prepare(sql))
      cache.delete(sql)
      cache.set(sql, statement)
      if (cache.size > statementsMax) {
        for (const oldest of cache.keys()) {
          cache.delete(oldest)
          break
        }
      }
      return statement
    },
  }
}

function adapt(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...inputs(parameters)).map((row) => ({ ...row })),
    run: (parameters) => statement.run(...inputs(parameters)),
    // Kysely keeps the connection for a stream until its end, so nobody else uses the statement meanwhile.
    iterate: (parameters) => statement.iterate(...inputs(parameters)),
  }
}

/** node:sqlite itself refuses, without naming it, a value that SQLite has no type for. */
function inputs(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters as SQLInputValue[]
}
