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
  type QueryResult,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely'
import { currentRehearsal } from './rehearsal.ts'
import { Turns } from './turns.ts'

/** How many prepared statements are kept. A program has some hundred; the oldest ones are prepared again. */
const statementsMax = 500

/** Speaks to `node:sqlite` for Kysely; one query or transaction at a time has the one connection. */
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
    return new OneConnectionAdapter()
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}

/** The driver itself gives the one connection to one after another, and knows of rehearsals. */
class OneConnectionAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

/** The connection for as long as it is somebody's turn. */
class Turn implements DatabaseConnection {
  readonly end: () => void
  /** Whether it lies within a rehearsal, whose transaction is open already. */
  readonly rehearsed: boolean
  readonly #connection: DatabaseConnection

  constructor(connection: DatabaseConnection, rehearsed: boolean, end: () => void) {
    this.#connection = connection
    this.rehearsed = rehearsed
    this.end = end
  }

  executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    return this.#connection.executeQuery<Row>(query)
  }

  streamQuery<Row>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<Row>> {
    return this.#connection.streamQuery<Row>(query, chunkSize)
  }
}

/**
 * Takes the write lock when a transaction begins. With a plain BEGIN, a transaction that reads first and then writes
 * fails at once, whatever the busy timeout, where another process wrote in between. A transaction within a rehearsal is
 * a savepoint of it.
 */
class ImmediateDriver extends SqliteDriver {
  readonly #database: DatabaseSync
  readonly #turns = new Turns()

  constructor(database: DatabaseSync) {
    super({ database: statements(database) })
    this.#database = database
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const rehearsal = currentRehearsal()
    const end = await (rehearsal?.turns ?? this.#turns).take()
    return new Turn(await super.acquireConnection(), rehearsal !== undefined, end)
  }

  override async releaseConnection(connection?: DatabaseConnection): Promise<void> {
    if (connection instanceof Turn) connection.end()
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(
      CompiledQuery.raw(isRehearsed(connection) ? 'savepoint rehearsed' : 'begin immediate'),
    )
  }

  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    if (isRehearsed(connection)) await connection.executeQuery(CompiledQuery.raw('release rehearsed'))
    else await super.commitTransaction(connection)
  }

  /** SQLite rolls back by itself on a full disk; a second ROLLBACK would then hide the first error. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (!this.#database.isTransaction) return
    if (!isRehearsed(connection)) {
      await super.rollbackTransaction(connection)
      return
    }
    await connection.executeQuery(CompiledQuery.raw('rollback to rehearsed'))
    await connection.executeQuery(CompiledQuery.raw('release rehearsed'))
  }
}

const isRehearsed = (connection: DatabaseConnection) => connection instanceof Turn && connection.rehearsed

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
