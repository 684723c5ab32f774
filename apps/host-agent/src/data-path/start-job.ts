import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { DataClusters } from '@cryptvisor/qcow2'
import { DataPathError } from './data-path-error.ts'
import { bytesBefore, type Job, type LaneData, type LaneMessage, packSpans, type Span } from './job.ts'
import { JobControl } from './job-control.ts'
import { descriptorsOf, filesOf, sideOf } from './job-side.ts'
import { Lane } from './lane.ts'
import { partsFor } from './lane-parts.ts'
import { LaneThreads } from './lane-threads.ts'
import type { OpenImage } from './open-image.ts'
import type { Pace } from './pace.ts'

/** How often the main thread looks how far the lanes are. */
const lookMs = 100

/** How the lanes of a job work. */
export interface LaneSettings {
  /** How many threads work at once, 1 or more. */
  readonly laneCount: number
  /** What is read, worked on and written at once; a multiple of 4096. */
  readonly chunkBytes: number
  /** Whether the main thread is one of them, which blocks it: for a process that has nothing else to do. */
  readonly mainThreadToo?: boolean
}

/** How the caller follows, paces and stops a job. */
export interface JobOptions {
  readonly signal: AbortSignal
  readonly lanes: LaneSettings
  readonly pace: Pace
  /** What is before this byte is done already; a multiple of 4096, and not with spans. */
  readonly startBytes?: number
  /** Only these parts of the images, begun in this order; none is larger than a chunk. */
  readonly spans?: readonly Span[]
  /** What a scan marks. */
  readonly data?: DataClusters
  onProgress(doneBytes: number): void
  /** Called now and then, never twice at once, when all bytes before `doneBytes` are done; of spans, those in their order. */
  readonly checkpoint?: { readonly everyBytes: number; save(doneBytes: number): Promise<void> }
  /** Where threads come from; left out: new ones. */
  readonly threads?: LaneThreads
}

/**
 * Does a job in worker threads, so that the event loop goes on; in this one where only this one reaches the files. Settles
 * only after all lanes have ended: then nothing uses the files any more, and the shared memory with the volume keys is
 * wiped, however it ended. Rejects with a DataPathError: the first one of a lane, `aborted`, or `worker-failed` when a
 * thread broke down.
 */
export async function startJob(
  task: Job['task'],
  source: OpenImage,
  target: OpenImage,
  options: JobOptions,
): Promise<void> {
  const { signal, lanes, pace, startBytes = 0, spans, data } = options
  const { chunkBytes } = lanes
  // Where only this thread reaches the files it is the only lane.
  const shared = descriptorsOf(source) !== null && descriptorsOf(target) !== null
  const laneCount = shared ? lanes.laneCount : 1
  const control = JobControl.start(laneCount, startBytes)
  const sides = [sideOf(source, false), sideOf(target, task === 'copy')] as const
  const job: Job = {
    task,
    source: sides[0],
    target: sides[1],
    sizeBytes: spans?.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? source.image.sizeBytes,
    startBytes,
    chunkBytes,
    spans: spans === undefined ? null : packSpans(spans),
    control: control.memory,
    pace: pace.memory,
    ...(data === undefined ? {} : { data: data.shared }),
  }
  const halt = () => control.stop()
  signal.addEventListener('abort', halt)
  if (signal.aborted) halt()
  const wipe = () => {
    for (const { key } of sides) if (key !== null) new Uint8Array(key).fill(0)
  }
  try {
    await new JobRun(job, control, source, target, { ...options, lanes: { ...lanes, laneCount } }, wipe).toEnd()
  } finally {
    signal.removeEventListener('abort', halt)
    wipe()
  }
}

/** One job on its way. */
class JobRun {
  readonly #job: Job
  readonly #control: JobControl
  readonly #source: OpenImage
  readonly #target: OpenImage
  readonly #options: JobOptions
  readonly #wipe: () => void
  #keysTakenCount = 0
  #savedBytes: number
  #failure: unknown = null

  constructor(
    job: Job,
    control: JobControl,
    source: OpenImage,
    target: OpenImage,
    options: JobOptions,
    wipe: () => void,
  ) {
    this.#job = job
    this.#control = control
    this.#source = source
    this.#target = target
    this.#options = options
    this.#wipe = wipe
    this.#savedBytes = options.startBytes ?? 0
  }

  async toEnd(): Promise<void> {
    const { laneCount, mainThreadToo = false } = this.#options.lanes
    const source = descriptorsOf(this.#source)
    const target = descriptorsOf(this.#target)
    const threads: Promise<void>[] = []
    if (source !== null && target !== null) {
      for (let lane = mainThreadToo ? 1 : 0; lane < laneCount; lane++) {
        threads.push(this.#runThread({ job: this.#job, lane, source, target }))
      }
    }
    try {
      if (mainThreadToo || threads.length === 0) await this.#runHere()
      await this.#watch(Promise.all(threads))
    } catch (error) {
      this.#failure ??= error
      this.#control.stop()
    }
    await Promise.all(threads)
    if (this.#failure !== null) throw this.#failure
    this.#options.onProgress(this.#control.doneBytes)
  }

  /** Runs lane 0 in this thread; without other lanes it lets the event loop go on between chunks. */
  async #runHere(): Promise<void> {
    const parts = await partsFor(this.#job)
    using lane = new Lane(this.#job, 0, filesOf(this.#source), filesOf(this.#target), parts)
    this.#keysTaken()
    if (this.#options.lanes.mainThreadToo === true) {
      lane.run()
      return
    }
    const stopped = () => this.#control.stopped
    for (let span = lane.take(); span !== null; span = lane.take()) {
      await this.#options.pace.awaitTurn(lane.turnBytes(span), stopped)
      lane.do(span)
      await this.#look()
      await nextTurn()
    }
  }

  /** Looks how far the lanes are until all have ended. */
  async #watch(ended: Promise<unknown>): Promise<void> {
    const over = new AbortController()
    const end = ended.then(() => over.abort())
    for (;;) {
      // It rejects when all lanes have ended.
      await sleep(lookMs, undefined, { ref: false, signal: over.signal }).catch(() => {})
      if (over.signal.aborted) break
      await this.#look()
    }
    await end
  }

  async #look(): Promise<void> {
    this.#options.onProgress(this.#control.doneBytes)
    const { checkpoint } = this.#options
    if (checkpoint === undefined) return
    const done = bytesBefore(this.#job, this.#control.lowestOpenChunk)
    if (done - this.#savedBytes < checkpoint.everyBytes) return
    await checkpoint.save(done)
    this.#savedBytes = done
  }

  /** Runs a lane in a worker thread. Never rejects: what went wrong is kept. */
  async #runThread(data: LaneData): Promise<void> {
    const worker = (this.#options.threads ?? new LaneThreads()).start(data)
    let lastWord = false
    worker.on('message', (message: LaneMessage) => {
      if (message.kind === 'ready') this.#keysTaken()
      else lastWord = true
      if (message.kind === 'failed') this.#fail(new DataPathError(message.code, message.message))
    })
    worker.on('error', (cause) => {
      this.#fail(new DataPathError('worker-failed', 'a worker thread of the data path broke down', { cause }))
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    worker.on('exit', () => resolve())
    await promise
    if (lastWord) return
    this.#fail(new DataPathError('worker-failed', 'a worker thread of the data path ended before its job'))
  }

  #fail(error: DataPathError): void {
    // A lane that stops because of another one's failure has nothing to say.
    if (this.#failure === null || isAborted(this.#failure)) this.#failure = error
    this.#control.stop()
  }

  #keysTaken(): void {
    this.#keysTakenCount++
    if (this.#keysTakenCount === this.#options.lanes.laneCount) this.#wipe()
  }
}

function isAborted(error: unknown): boolean {
  return error instanceof DataPathError && error.code === 'aborted'
}
