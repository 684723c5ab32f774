import { DataUnitMemory } from '@cryptvisor/crypto'
import { DataClusters, Qcow2Error, Qcow2Image, ThinImage } from '@cryptvisor/qcow2'
import { directAlignmentBytes } from '@cryptvisor/storage'
import { DataPathError } from './data-path-error.ts'
import { paddedSizeBytes } from './image.ts'
import type { JobSide } from './job.ts'
import { Payload, type PayloadFiles } from './payload.ts'
import { dataPathErrorOfQcow2 } from './qcow2.ts'

/** What is to be read. */
export interface ReadJob {
  readonly side: JobSide
  /** Of the image. */
  readonly sizeBytes: number
  /** The image is a qcow2, and the disk in it is read, in its active state. */
  readonly guest: boolean
  /** What is read from the file at once; a multiple of 4096. */
  readonly chunkBytes: number
}

/** Reads an image's plaintext, or the disk in a qcow2 image, at any place in any length: calls block. */
export class ImageReader implements Disposable {
  /** Of what is read. */
  readonly sizeBytes: number
  readonly #job: ReadJob
  readonly #memory: DataUnitMemory
  readonly #payload: Payload
  readonly #readAt: (offsetBytes: number, target: Uint8Array) => void

  /** Takes a copy of the volume key. Throws a DataPathError for a qcow2 image that is not to be read, and as `read` does. */
  constructor(job: ReadJob, files: PayloadFiles) {
    using stack = new DisposableStack()
    this.#job = job
    this.#memory = stack.use(new DataUnitMemory({ sizeBytes: job.chunkBytes }))
    this.#payload = stack.use(new Payload(job.side, files, this.#memory, { qcow2: { DataClusters, ThinImage } }))
    const readStored = (offsetBytes: number, target: Uint8Array) => this.#readStored(offsetBytes, target)
    if (job.guest) {
      const { disk } = ofFormat(() => new Qcow2Image({ sizeBytes: job.sizeBytes, readAt: readStored }))
      this.sizeBytes = disk.sizeBytes
      this.#readAt = (offsetBytes, target) => ofFormat(() => disk.read(offsetBytes, target))
    } else {
      this.sizeBytes = job.sizeBytes
      this.#readAt = readStored
    }
    stack.move()
  }

  /** Fills `target`. Throws a DataPathError: `truncated` also past the end, `bad-image`, `io`, `padding-not-zero`. */
  read(offsetBytes: number, target: Uint8Array): void {
    this.#readAt(offsetBytes, target)
  }

  [Symbol.dispose](): void {
    this.#payload[Symbol.dispose]()
    this.#memory[Symbol.dispose]()
  }

  /** Reads whole pages and takes what was asked for out of them. */
  #readStored(offsetBytes: number, target: Uint8Array): void {
    const { sizeBytes, chunkBytes, side } = this.#job
    const [buffer] = this.#memory.buffers
    if (buffer === undefined) throw new DataPathError('worker-failed', 'a reader without a buffer')
    for (let filled = 0; filled < target.length; ) {
      const at = offsetBytes + filled
      const within = at % directAlignmentBytes
      const startBytes = at - within
      const wantedBytes = paddedSizeBytes(within + target.length - filled, directAlignmentBytes)
      const pageBytes = Math.min(wantedBytes, chunkBytes, sizeBytes - startBytes)
      if (pageBytes <= within) throw new DataPathError('truncated', `${side.path} ends at ${sizeBytes}, before ${at}`)
      this.#payload.read(buffer, startBytes, pageBytes)
      const part = buffer.subarray(within, Math.min(pageBytes, within + target.length - filled))
      target.set(part, filled)
      filled += part.length
    }
  }
}

function ofFormat<Result>(action: () => Result): Result {
  try {
    return action()
  } catch (error) {
    throw error instanceof Qcow2Error ? dataPathErrorOfQcow2(error) : error
  }
}
