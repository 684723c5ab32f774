import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { SnapshotData, SnapshotFacts } from './snapshot.ts'

/*
 * Copies the database in a thread of its own, with a connection of its own that only reads: in WAL mode nobody waits for it,
 * and what was committed when it began is in the copy, whole.
 */

// Whoever starts the thread gives it this (`takeSnapshot`).
const { source, target } = workerData as SnapshotData

function copy(): void {
  const database = new DatabaseSync(source, { readOnly: true, timeout: 5000 })
  try {
    database.prepare('vacuum into ?').run(target)
  } finally {
    database.close()
  }
}

function look(): SnapshotFacts {
  const database = new DatabaseSync(target, { readOnly: true })
  try {
    const check = database.prepare('pragma quick_check').all()
    const [first] = check
    if (check.length !== 1 || first?.['quick_check'] !== 'ok') throw new Error('the copy of the database is damaged')
    const one = (sql: string) => Number(database.prepare(sql).get()?.['count'])
    const installation = database.prepare('select installation_id, epoch from installation').get()
    const step = database.prepare('select name, position from schema_migration order by position desc limit 1').get()
    return {
      installationId: String(installation?.['installation_id']),
      epoch: Number(installation?.['epoch']),
      schema: String(step?.['name']),
      schemaSteps: Number(step?.['position']) + 1,
      counts: {
        hosts: one('select count(*) as count from host'),
        vms: one('select count(*) as count from vm'),
        keys: one('select count(*) as count from key'),
        openTasks: one("select count(*) as count from task where state in ('queued', 'running')"),
      },
    }
  } finally {
    database.close()
  }
}

copy()
parentPort?.postMessage(look())
