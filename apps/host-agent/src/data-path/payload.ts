import { readSync, writeSync } from 'node:fs'
import { createXts, type DataUnitCipher, dataUnitSizeBytes } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'
import { DataPathError, dataPathErrorOf } from './data-path-error.ts'
import { paddedSizeBytes } from './image.ts'
import type { JobFile } from './job.ts'
import { directAlignmentBytes } from './read-back.ts'

/** What is read, worked on and written at once. */
export const chunkSizeBytes = 1_048_576

/** Zero areas of this size become holes in a plain target. */
const holeSizeBytes = 65_536

const zeros = Buffer.alloc(holeSizeBytes)

/** The plaintext of an image in an open file, read and written in a worker: calls block. */
export class Payload implements Disposable {
  readonly #file: JobFile
  readonly #cipher: DataUnitCipher | null

  /** Takes the volume key over: the shared memory is wiped. */
  constructor(file: JobFile) {
    this.#file = file
    if (file.key === null) {
      this.#cipher = null
    } else {
      using key = Secret.from(new Uint8Array(file.key))
      this.#cipher = createXts(key)
    }
  }

  /**
   * Reads `sizeBytes` of the image from `offset` on into the beginning of `buffer`, which has room for whole chunks. Zeros
   * follow up to a whole data unit. Throws a DataPathError: `truncated`, `io`, `padding-not-zero`.
   */
  read(buffer: Buffer, offset: number, sizeBytes: number): void {
    const paddedBytes = paddedSizeBytes(sizeBytes)
    if (this.#cipher === null) {
      this.#readFully(buffer, offset, sizeBytes)
      buffer.fill(0, sizeBytes, paddedBytes)
      return
    }
    this.#readFully(buffer, offset, paddedBytes)
    this.#cipher.decrypt(buffer.subarray(0, paddedBytes), offset / dataUnitSizeBytes)
    if (!isZero(buffer.subarray(sizeBytes, paddedBytes))) {
      throw new DataPathError(
        'padding-not-zero',
        `${this.#file.path} holds data after the ${offset + sizeBytes} bytes of its image, up to ${offset + paddedBytes}: use that as its size`,
      )
    }
  }

  /**
   * Writes `sizeBytes` of the image at `offset`, out of the beginning of `buffer`, whose contents are lost. Into LUKS go
   * whole data units; a plain file gets no zero areas, so it must be new and be set to its size at the end.
   */
  write(buffer: Buffer, offset: number, sizeBytes: number): void {
    if (this.#cipher !== null) {
      const units = buffer.subarray(0, paddedSizeBytes(sizeBytes))
      this.#cipher.encrypt(units, offset / dataUnitSizeBytes)
      this.#writeFully(units, offset)
      return
    }
    for (const [start, end] of dataRuns(buffer.subarray(0, sizeBytes))) {
      this.#writeFully(buffer.subarray(start, end), offset + start)
    }
  }

  [Symbol.dispose](): void {
    this.#cipher?.[Symbol.dispose]()
  }

  #readFully(buffer: Buffer, offset: number, sizeBytes: number): void {
    const { fd, path, offsetBytes, direct } = this.#file
    let filled = 0
    while (filled < sizeBytes) {
      const missing = sizeBytes - filled
      const asked = direct ? Math.ceil(missing / directAlignmentBytes) * directAlignmentBytes : missing
      const position = offsetBytes + offset + filled
      const count = attempt(`cannot read ${path} at ${position}`, () => readSync(fd, buffer, filled, asked, position))
      if (count === 0) throw new DataPathError('truncated', `${path} ends at ${position}, before its image does`)
      filled += count
    }
  }

  #writeFully(bytes: Buffer, offset: number): void {
    const { fd, path, offsetBytes } = this.#file
    let written = 0
    while (written < bytes.length) {
      const position = offsetBytes + offset + written
      written += attempt(`cannot write ${path} at ${position}`, () =>
        writeSync(fd, bytes, written, bytes.length - written, position),
      )
    }
  }
}

/** The areas of `bytes` that hold anything but zeros, in steps of `holeSizeBytes`, as [start, end). */
export function dataRuns(bytes: Buffer): [number, number][] {
  const runs: [number, number][] = []
  for (let start = 0; start < bytes.length; start += holeSizeBytes) {
    const end = Math.min(start + holeSizeBytes, bytes.length)
    if (isZero(bytes.subarray(start, end))) continue
    const last = runs.at(-1)
    if (last?.[1] === start) last[1] = end
    else runs.push([start, end])
  }
  return runs
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(zeros.subarray(0, bytes.length))
}

function attempt<Result>(what: string, action: () => Result): Result {
  try {
    return action()
  } catch (error) {
    throw dataPathErrorOf(error, what)
  }
}
