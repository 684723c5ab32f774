import { SealedFileError } from './sealed-file-error.ts'
import { type Binding, headerSizeBytes, plaintextSizeOf, Segments, segmentSizeBytes, tagSizeBytes } from './segments.ts'

/**
 * Reads `sizeBytes` bytes at `offsetBytes` of a sealed file: all of them, since no more are asked for than the file has.
 * Whoever opens the file decides how.
 */
export type ReadAt = (offsetBytes: number, sizeBytes: number) => Promise<Uint8Array>

/** One opened segment, kept for the next read. */
interface OpenSegment {
  readonly index: number
  readonly plaintext: Uint8Array
}

/**
 * Opens a sealed file at any place, reading and opening only the segments that hold it. That the file ends where it should
 * is known from the start, since its last segment is opened first. Disposing of it wipes what it kept.
 */
export class SealedReader implements Disposable {
  readonly #readAt: ReadAt
  readonly #segments: Segments
  readonly #segmentCount: number
  readonly #sealedSizeBytes: number
  #kept: OpenSegment | null = null
  #disposed = false

  /** Size of the plaintext, authentic. */
  readonly sizeBytes: number

  private constructor(readAt: ReadAt, segments: Segments, sealedSizeBytes: number) {
    this.#readAt = readAt
    this.#segments = segments
    this.#sealedSizeBytes = sealedSizeBytes
    this.#segmentCount = Math.ceil(sealedSizeBytes / segmentSizeBytes)
    this.sizeBytes = sealedSizeBytes - headerSizeBytes - this.#segmentCount * tagSizeBytes
  }

  /**
   * Opens the header and the last segment of a sealed file of `sealedSizeBytes` bytes. Throws a SealedFileError:
   * `truncated`, `bad-header`, `key-size`, or `not-authentic` when the file was cut, was grown, or is not what `binding`
   * says. What `readAt` throws is passed on.
   */
  static async open(binding: Binding, readAt: ReadAt, sealedSizeBytes: number): Promise<SealedReader> {
    const lastSizeBytes = sealedSizeBytes % segmentSizeBytes || segmentSizeBytes
    const isOnlyOne = sealedSizeBytes <= segmentSizeBytes
    if (lastSizeBytes < tagSizeBytes + (isOnlyOne ? headerSizeBytes : 0) || sealedSizeBytes === 0) {
      throw new SealedFileError('truncated', `a sealed file of ${sealedSizeBytes} bytes ends before its last tag`)
    }
    const header = await readFully(readAt, 0, headerSizeBytes)
    const reader = new SealedReader(readAt, Segments.fromHeader(binding, header), sealedSizeBytes)
    await reader.#copy(reader.#segmentCount - 1, 0, new Uint8Array())
    return reader
  }

  /**
   * The plaintext of `sizeBytes` bytes at `offsetBytes`, in an array of its own. Throws a SealedFileError: `out-of-range`
   * for bytes that the file does not have, `not-authentic` when a segment was changed or moved, `disposed`.
   */
  async read(offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
    const end = offsetBytes + sizeBytes
    const isWhole = Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(sizeBytes)
    if (!isWhole || offsetBytes < 0 || sizeBytes < 0 || end > this.sizeBytes) {
      throw new SealedFileError(
        'out-of-range',
        `bytes ${offsetBytes} to ${end} of a sealed file that has ${this.sizeBytes}`,
      )
    }
    this.#checkOpen()
    const bytes = new Uint8Array(sizeBytes)
    for (let filled = 0; filled < sizeBytes; ) {
      const { index, start } = placeOf(offsetBytes + filled)
      filled += await this.#copy(index, start, bytes.subarray(filled))
    }
    return bytes
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#keep(null)
  }

  /** Copies the plaintext of a segment from `start` on, as far as it and `target` go; gives how many bytes those are. */
  async #copy(index: number, start: number, target: Uint8Array): Promise<number> {
    if (this.#kept?.index !== index) {
      const ciphertext = await this.#readSegment(index)
      this.#checkOpen()
      this.#keep({ index, plaintext: this.#segments.unseal(ciphertext, index, index === this.#segmentCount - 1) })
    }
    // Nothing was awaited since the segment was kept, so it still is.
    const part = this.#kept?.plaintext.subarray(start, start + target.length) ?? new Uint8Array()
    target.set(part)
    return part.length
  }

  async #readSegment(index: number): Promise<Uint8Array> {
    const start = index === 0 ? headerSizeBytes : index * segmentSizeBytes
    const end = Math.min((index + 1) * segmentSizeBytes, this.#sealedSizeBytes)
    return await readFully(this.#readAt, start, end - start)
  }

  #keep(segment: OpenSegment | null): void {
    this.#kept?.plaintext.fill(0)
    this.#kept = segment
  }

  #checkOpen(): void {
    if (this.#disposed) throw new SealedFileError('disposed', 'this reader of a sealed file was disposed of')
  }
}

/** The segment that holds a byte of the plaintext, and where in it. */
function placeOf(offsetBytes: number): { readonly index: number; readonly start: number } {
  const firstSizeBytes = plaintextSizeOf(0)
  if (offsetBytes < firstSizeBytes) return { index: 0, start: offsetBytes }
  const rest = offsetBytes - firstSizeBytes
  const index = 1 + Math.floor(rest / plaintextSizeOf(1))
  return { index, start: rest % plaintextSizeOf(1) }
}

async function readFully(readAt: ReadAt, offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
  const bytes = await readAt(offsetBytes, sizeBytes)
  if (bytes.length === sizeBytes) return bytes
  throw new SealedFileError(
    'truncated',
    `expected ${sizeBytes} bytes of a sealed file at ${offsetBytes}, got ${bytes.length}`,
  )
}
