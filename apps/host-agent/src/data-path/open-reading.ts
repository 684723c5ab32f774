import { Worker } from 'node:worker_threads'
import { DataPathError } from './data-path-error.ts'
import { ImageReader, type ReadJob } from './image-reader.ts'
import type { JobDescriptors } from './job.ts'
import { descriptorsOf, filesOf, sideOf } from './job-side.ts'
import type { OpenImage } from './open-image.ts'
import type { ReaderData, ReaderMessage, ReaderRequest } from './reader-message.ts'

const workerScript = new URL('./reader-worker.ts', import.meta.url)

/** An image that is read piece by piece. Disposing of it wipes its copy of the volume key. */
export interface ImageReading extends AsyncDisposable {
  /** Of what is read. */
  readonly sizeBytes: number
  /** So many bytes from there on. Rejects with a DataPathError. */
  read(offsetBytes: number, sizeBytes: number): Promise<Uint8Array>
}

export interface ReadingOptions {
  /** What is read from the file at once; a multiple of 4096. */
  readonly chunkBytes: number
  /** Whether the image is a qcow2 and the disk in it is to be read, in its active state. */
  readonly guest: boolean
}

/**
 * Opens an image to read its plaintext in a worker thread, or in this one where only this one reaches the file. Rejects with
 * a DataPathError: for a qcow2 what `inspectQcow2` throws, `bad-image`; `io`, `truncated`, `worker-failed`.
 */
export async function openReading(source: OpenImage, { chunkBytes, guest }: ReadingOptions): Promise<ImageReading> {
  const job: ReadJob = { side: sideOf(source, false), sizeBytes: source.image.sizeBytes, guest, chunkBytes }
  const wipe = () => {
    if (job.side.key !== null) new Uint8Array(job.side.key).fill(0)
  }
  try {
    const files = descriptorsOf(source)
    if (files !== null) return await ThreadReading.start(job, files)
    const reader = new ImageReader(job, filesOf(source))
    return {
      sizeBytes: reader.sizeBytes,
      read: async (offsetBytes, sizeBytes) => {
        const bytes = new Uint8Array(sizeBytes)
        reader.read(offsetBytes, bytes)
        return bytes
      },
      [Symbol.asyncDispose]: async () => reader[Symbol.dispose](),
    }
  } finally {
    wipe()
  }
}

/** A reading thread. */
class ThreadReading implements ImageReading {
  readonly #worker: Worker
  readonly #ready = Promise.withResolvers<number>()
  readonly #exit = Promise.withResolvers<void>()
  /** Who waits for an answer, in the order of the requests. */
  readonly #waiting: PromiseWithResolvers<Uint8Array>[] = []
  #failure: DataPathError | null = null
  sizeBytes = 0

  private constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (message: ReaderMessage) => this.#take(message))
    worker.on('error', (cause) => this.#fail('a reading thread of the data path broke down', cause))
    worker.on('exit', () => {
      this.#fail('a reading thread of the data path ended')
      this.#exit.resolve()
    })
  }

  static async start(job: ReadJob, files: JobDescriptors): Promise<ThreadReading> {
    const workerData: ReaderData = { job, files }
    const reading = new ThreadReading(new Worker(workerScript, { workerData, name: 'data-path-reader' }))
    try {
      reading.sizeBytes = await reading.#ready.promise
      return reading
    } catch (error) {
      await reading.#exit.promise
      throw error
    }
  }

  async read(offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
    if (this.#failure !== null) throw this.#failure
    const answer = Promise.withResolvers<Uint8Array>()
    this.#waiting.push(answer)
    this.#ask({ offsetBytes, sizeBytes })
    return await answer.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ask('end')
    await this.#exit.promise
  }

  #ask(request: ReaderRequest): void {
    this.#worker.postMessage(request)
  }

  #take(message: ReaderMessage): void {
    if (message.kind === 'ready') {
      this.#ready.resolve(message.sizeBytes)
      return
    }
    const waiting = this.#waiting.shift()
    if (message.kind === 'bytes') waiting?.resolve(message.bytes)
    // Before it is ready nobody waits for bytes.
    else (waiting ?? this.#ready).reject(new DataPathError(message.code, message.message))
  }

  /** The thread is of no use any more. */
  #fail(text: string, cause?: unknown): void {
    this.#failure ??= new DataPathError('worker-failed', text, { cause })
    for (const waiting of [this.#ready, ...this.#waiting.splice(0)]) waiting.reject(this.#failure)
  }
}
