import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { BackupManifest } from './manifest.ts'

/** What the thread is told. */
export interface SnapshotData {
  readonly source: string
  readonly target: string
}

/** What a copy of the database says of itself. */
export type SnapshotFacts = Pick<BackupManifest, 'installationId' | 'epoch' | 'schema' | 'schemaSteps' | 'counts'>

const script = new URL('./snapshot-worker.ts', import.meta.url)

/**
 * Copies the database at `source`, which may be in use, to the new file `target`: consistent, compact, checked, without what
 * was deleted. Nobody waits for it meanwhile. Throws what SQLite says.
 */
export async function takeSnapshot(data: SnapshotData): Promise<SnapshotFacts> {
  const worker = new Worker(script, { workerData: data, name: 'snapshot' })
  const exited = once(worker, 'exit')
  try {
    // The one message of the thread; one that fails tells that as an error, which `once` throws.
    const [facts] = (await Promise.race([once(worker, 'message'), endedWithout(exited)])) as [SnapshotFacts]
    return facts
  } finally {
    await worker.terminate()
  }
}

async function endedWithout(exited: Promise<unknown[]>): Promise<never> {
  const [code] = await exited
  throw new Error(`the thread that copies the database ended with ${String(code)}`)
}
