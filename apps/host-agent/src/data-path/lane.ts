import { DataUnitMemory } from '@cryptvisor/crypto'
import type { DataClusters } from '@cryptvisor/qcow2'
import { alignmentBytes } from './block-file.ts'
import { DataPathError } from './data-path-error.ts'
import { paddedSizeBytes } from './image.ts'
import { type Job, type Span, spanCountOf, spanOf } from './job.ts'
import { JobControl } from './job-control.ts'
import type { LaneParts } from './lane-parts.ts'
import { Pace } from './pace.ts'
import { dataRuns, loaded, Payload, type PayloadFiles } from './payload.ts'

/** One of those that work a job off, chunk by chunk, each with buffers and ciphers of its own. */
export class Lane implements Disposable {
  readonly #job: Job
  readonly #lane: number
  readonly #control: JobControl
  readonly #pace: Pace
  readonly #memory: DataUnitMemory
  readonly #source: Payload
  readonly #target: Payload
  readonly #step: (span: Span) => void

  /** Takes copies of the volume keys. `parts`: what `partsFor` gives for the job. */
  constructor(job: Job, lane: number, source: PayloadFiles, target: PayloadFiles, parts: LaneParts = {}) {
    this.#job = job
    this.#lane = lane
    this.#control = new JobControl(job.control)
    this.#pace = new Pace(job.pace)
    const sizeBytes = paddedSizeBytes(job.chunkBytes, alignmentBytes)
    this.#memory = new DataUnitMemory({ sizeBytes, count: job.task === 'compare' ? 2 : 1 })
    this.#source = new Payload(job.source, source, this.#memory, parts)
    this.#target = new Payload(job.target, target, this.#memory, parts)
    const [first, second] = this.#memory.buffers
    if (first === undefined) throw new DataPathError('worker-failed', 'a lane without a buffer')
    if (job.data !== undefined) this.#step = this.#mark(first, loaded(parts.qcow2).DataClusters.of(job.data))
    else this.#step = second === undefined ? this.#copy(first) : this.#compare(first, second)
  }

  /** Works until no chunk is left or the job is to stop, blocking; throws a DataPathError. */
  run(): void {
    const stopped = () => this.#control.stopped
    for (let span = this.take(); span !== null; span = this.take()) {
      this.#pace.awaitTurnSync(this.turnBytes(span), stopped)
      this.do(span)
    }
  }

  /** The next chunk; `null` when none is left. */
  take(): Span | null {
    const index = this.#control.takeChunk(this.#lane)
    return index < spanCountOf(this.#job) ? spanOf(this.#job, index) : null
  }

  /** How much of a chunk the pace is to be asked for. Of a scan it is told afterwards what was data: zeros are free. */
  turnBytes({ sizeBytes }: Span): number {
    return this.#job.task === 'scan' ? 0 : sizeBytes
  }

  /** Does a chunk that was taken, unless the job is to stop: throws a DataPathError `aborted` then, and others. */
  do(span: Span): void {
    if (this.#control.stopped) {
      throw new DataPathError('aborted', `stopped after ${this.#control.doneBytes} of ${this.#job.sizeBytes} bytes`)
    }
    this.#step(span)
    this.#control.add(span.sizeBytes)
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]()
    this.#target[Symbol.dispose]()
    this.#memory[Symbol.dispose]()
  }

  #copy(buffer: Buffer): (span: Span) => void {
    return ({ sourceOffset, targetOffset, sizeBytes }) => {
      this.#source.read(buffer, sourceOffset, sizeBytes)
      this.#target.write(buffer, targetOffset, sizeBytes)
    }
  }

  #mark(buffer: Buffer, data: DataClusters): (span: Span) => void {
    return ({ sourceOffset, sizeBytes }) => {
      this.#source.read(buffer, sourceOffset, sizeBytes)
      for (const [start, end] of dataRuns(buffer.subarray(0, sizeBytes))) {
        data.mark(sourceOffset + start, end - start)
        this.#pace.count(end - start)
      }
    }
  }

  #compare(expected: Buffer, found: Buffer): (span: Span) => void {
    const { path } = this.#job.target
    return ({ sourceOffset, targetOffset, sizeBytes }) => {
      this.#source.read(expected, sourceOffset, sizeBytes)
      this.#target.read(found, targetOffset, sizeBytes)
      const [one, other] = [expected.subarray(0, sizeBytes), found.subarray(0, sizeBytes)]
      if (one.equals(other)) return
      const at = targetOffset + one.findIndex((byte, index) => byte !== other[index])
      throw new DataPathError('mismatch', `${path} differs from its source at offset ${at} of the image`)
    }
  }
}
