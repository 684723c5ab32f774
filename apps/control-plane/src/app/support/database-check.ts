import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** What a look at the database file found. */
export interface DatabaseFacts {
  readonly sqlite: string
  readonly journalMode: string
  readonly pageCount: number
  readonly pageSizeBytes: number
  readonly freePageCount: number
  /** What SQLite’s own check says, `ok` alone where all is well; at most ten lines. */
  readonly integrity: readonly string[]
  readonly foreignKeyViolations: number
  /** How many rows each table has. */
  readonly rowCounts: Readonly<Record<string, number>>
}

const script = new URL('./database-check-worker.ts', import.meta.url)

/**
 * Checks the database at `path`, which may be in use, in a thread of its own that only reads: nobody waits for it. `signal` gives it
 * up. Throws what SQLite says.
 */
export async function checkDatabase(path: string, signal: AbortSignal): Promise<DatabaseFacts> {
  const worker = new Worker(script, { workerData: path, name: 'database check' })
  try {
    // The one message of the thread; one that fails tells that as an error, which `once` throws.
    const [facts] = (await once(worker, 'message', { signal })) as [DatabaseFacts]
    return facts
  } finally {
    await worker.terminate()
  }
}
