import { Worker } from 'node:worker_threads'
import type { LaneData } from './job.ts'

const workerScript = new URL('./worker.ts', import.meta.url)

/**
 * The threads that lanes run in. Some may be begun before there is a job: a thread takes longer to begin than 100 MiB take to
 * be encrypted. Imports nothing, so that a program can begin them before it has loaded the rest.
 */
export class LaneThreads implements Disposable {
  readonly #script: URL
  readonly #waiting = new Set<Worker>()

  /** Begins so many. `script`: what they run, another one for tests. */
  constructor(count = 0, script = workerScript) {
    this.#script = script
    for (let index = 0; index < count; index++) this.#begin()
  }

  /** A thread that works a lane off, and ends: one that was begun, else a new one. */
  start(data: LaneData): Worker {
    const [worker] = this.#waiting
    if (worker === undefined) return new Worker(this.#script, { workerData: data, name: 'data-path' })
    this.#waiting.delete(worker)
    worker.removeAllListeners()
    worker.ref()
    worker.postMessage(data)
    return worker
  }

  /** Ends those that got no job. */
  [Symbol.dispose](): void {
    for (const worker of this.#waiting) void worker.terminate()
    this.#waiting.clear()
  }

  #begin(): void {
    const worker = new Worker(this.#script, { workerData: null, name: 'data-path' })
    worker.unref()
    this.#waiting.add(worker)
    // One that breaks down before it has a job is not missed; it ends, too.
    worker.on('error', () => {})
    worker.on('exit', () => this.#waiting.delete(worker))
  }
}
