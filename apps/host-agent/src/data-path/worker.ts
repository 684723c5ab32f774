/** The worker thread of the data path: does the one job that it was started with, says how it went, and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { DataPathError } from './data-path-error.ts'
import type { Job, JobMessage } from './job.ts'
import { runJob } from './run-job.ts'

const progressIntervalMs = 200

// `start-job.ts` starts this file, with a job.
const job = workerData as Job
const say = (message: JobMessage) => parentPort?.postMessage(message)

let saidMs = Number.NEGATIVE_INFINITY
try {
  runJob(job, (doneBytes) => {
    const nowMs = performance.now()
    if (doneBytes < job.sizeBytes && nowMs - saidMs < progressIntervalMs) return
    saidMs = nowMs
    say({ kind: 'progress', doneBytes })
  })
  say({ kind: 'done' })
} catch (error) {
  // Anything else is a breakdown, and reaches the main thread as one.
  if (!(error instanceof DataPathError)) throw error
  say({ kind: 'failed', code: error.code, message: error.message })
}
