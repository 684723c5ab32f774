import type { ImageSource } from './image-source.ts'
import { Qcow2Error } from './qcow2-error.ts'

/** Entries of tables are read in pieces of this size, at its multiples, so that no entry lies in two. */
const pieceSizeBytes = 16_384

/** How many pieces are kept, the last used ones: 4 MiB, the L2 tables of 32 GiB with clusters of 64 KiB. */
const pieceCountMax = 256

/** Reads the numbers of an image's tables, and keeps what it read last. Memory is bounded whatever the image says. */
export class TableReader {
  readonly #source: ImageSource
  readonly #pieces = new Map<number, DataView>()
  #last: { readonly index: number; readonly view: DataView } | null = null

  constructor(source: ImageSource) {
    this.#source = source
  }

  /** Throws a Qcow2Error `truncated` when the image ends before the table that `what` names. */
  requireInside(offsetBytes: number, sizeBytes: number, what: string): void {
    if (offsetBytes + sizeBytes > this.#source.sizeBytes) {
      throw new Qcow2Error(
        'truncated',
        `${what} at ${offsetBytes} with ${sizeBytes} bytes: the image ends at ${this.#source.sizeBytes}`,
      )
    }
  }

  /** The 32 bits at `offsetBytes`, a multiple of 4 inside the image. */
  uint32(offsetBytes: number): number {
    return this.#piece(Math.floor(offsetBytes / pieceSizeBytes)).getUint32(offsetBytes % pieceSizeBytes)
  }

  /** Bytes of any length inside the image, read past the kept pieces. */
  bytes(offsetBytes: number, sizeBytes: number): Buffer {
    const target = Buffer.alloc(sizeBytes)
    if (sizeBytes > 0) this.#source.readAt(offsetBytes, target)
    return target
  }

  #piece(index: number): DataView {
    if (this.#last?.index === index) return this.#last.view
    const view = this.#pieces.get(index) ?? this.#load(index)
    // Taken out and put in again, it is the youngest: a Map keeps the order of insertion.
    this.#pieces.delete(index)
    this.#pieces.set(index, view)
    this.#last = { index, view }
    return view
  }

  #load(index: number): DataView {
    if (this.#pieces.size >= pieceCountMax) {
      const [oldest] = this.#pieces.keys()
      if (oldest !== undefined) this.#pieces.delete(oldest)
    }
    const start = index * pieceSizeBytes
    const bytes = new Uint8Array(Math.min(pieceSizeBytes, this.#source.sizeBytes - start))
    this.#source.readAt(start, bytes)
    return new DataView(bytes.buffer)
  }
}
