import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { DatabaseFacts } from './database-check.ts'

/*
 * Looks at the database in a thread of its own, with a connection of its own that only reads: in WAL mode nobody waits for it.
 */

const database = new DatabaseSync(String(workerData), { readOnly: true, timeout: 5000 })
try {
  const one = (sql: string) => Object.values(database.prepare(sql).get() ?? {})[0]
  const tables = database
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name")
    .all()
    .map(({ name }) => String(name))
  const facts: DatabaseFacts = {
    sqlite: String(one('select sqlite_version()')),
    journalMode: String(one('pragma journal_mode')),
    pageCount: Number(one('pragma page_count')),
    pageSizeBytes: Number(one('pragma page_size')),
    freePageCount: Number(one('pragma freelist_count')),
    integrity: database
      .prepare('pragma quick_check(10)')
      .all()
      .map((row) => String(Object.values(row)[0])),
    foreignKeyViolations: database.prepare('pragma foreign_key_check').all().length,
    // Names out of the schema itself.
    rowCounts: Object.fromEntries(tables.map((name) => [name, Number(one(`select count(*) from "${name}"`))])),
  }
  parentPort?.postMessage(facts)
} finally {
  database.close()
}
