import { LuksError } from './luks-error.ts'

/**
 * Reads `sizeBytes` bytes at `offsetBytes` of a volume: all of them, since no more are asked for than the volume has.
 * Whoever opens the file decides how.
 */
export type ReadAt = (offsetBytes: number, sizeBytes: number) => Promise<Uint8Array>

/** A volume to read from, within its size. */
export class VolumeReader {
  readonly #readAt: ReadAt
  readonly sizeBytes: number

  constructor(readAt: ReadAt, sizeBytes: number) {
    this.#readAt = readAt
    this.sizeBytes = sizeBytes
  }

  /** Exactly `sizeBytes` bytes. Throws a LuksError `truncated` that names `what` when the volume ends before that. */
  async read(offsetBytes: number, sizeBytes: number, what: string): Promise<Uint8Array> {
    const end = offsetBytes + sizeBytes
    if (end > this.sizeBytes) {
      throw new LuksError('truncated', `the volume has ${this.sizeBytes} bytes and ends before ${what} does, at ${end}`)
    }
    const bytes = await this.#readAt(offsetBytes, sizeBytes)
    if (bytes.length !== sizeBytes) {
      throw new LuksError('truncated', `${what}: expected ${sizeBytes} bytes at ${offsetBytes}, got ${bytes.length}`)
    }
    return bytes
  }
}
