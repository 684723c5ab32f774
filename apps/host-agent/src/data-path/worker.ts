/** The worker thread of the data path: does the one job that it was started with, says how it went, and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { dataPathErrorOf } from './data-path-error.ts'
import type { Job, JobMessage } from './job.ts'
import { runJob } from './run-job.ts'

const progressIntervalMs = 200

// `start-job.ts` starts this file, with a job.
const job = workerData as Job
const say = (message: JobMessage) => parentPort?.postMessage(message)

let saidMs = 0
try {
  runJob(job, (doneBytes) => {
    const nowMs = performance.now()
    if (doneBytes < job.sizeBytes && nowMs - saidMs < progressIntervalMs) return
    saidMs = nowMs
    say({ kind: 'progress', doneBytes })
  })
  say({ kind: 'done' })
} catch (error) {
  const { code, message } = dataPathErrorOf(error, `cannot ${job.task} ${job.source.path}`)
  say({ kind: 'failed', code, message })
}
