/** A worker thread of the data path: one lane of the one job that it gets. */
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { DataPathError } from './data-path-error.ts'
import type { LaneData, LaneMessage } from './job.ts'
import { JobControl } from './job-control.ts'
import { Lane } from './lane.ts'
import { partsFor } from './lane-parts.ts'
import { filesOfDescriptors } from './thread-files.ts'

// `lane-threads.ts` starts this file with such data, or sends it as the only message.
const { job, lane: number, source, target } = (workerData ?? (await firstMessage())) as LaneData
const say = (message: LaneMessage) => parentPort?.postMessage(message)

try {
  using lane = new Lane(job, number, filesOfDescriptors(source), filesOfDescriptors(target), await partsFor(job))
  say({ kind: 'ready' })
  lane.run()
  say({ kind: 'done' })
} catch (error) {
  // The other lanes need not go on.
  new JobControl(job.control).stop()
  // Anything else is a breakdown, and reaches the main thread as one.
  if (!(error instanceof DataPathError)) throw error
  say({ kind: 'failed', code: error.code, message: error.message })
}

async function firstMessage(): Promise<unknown> {
  if (parentPort === null) throw new Error('this file is for worker threads')
  const [message] = await once(parentPort, 'message')
  return message
}
