import { QmpError } from './qmp-error.ts'

/** No message of QEMU's comes near: its largest, the schema, has 0.2 MiB. */
export const messageSizeMax = 16_777_216

const lineFeed = 0x0a

/** Cuts a stream of bytes into lines, wherever its pieces begin and end. */
export class LineReader {
  readonly #sizeMax: number
  #parts: Uint8Array[] = []
  #sizeBytes = 0

  constructor(sizeMax = messageSizeMax) {
    this.#sizeMax = sizeMax
  }

  /** How much of a line is there whose end is not. */
  get pendingBytes(): number {
    return this.#sizeBytes
  }

  /** The lines that end in `chunk`, without their line feeds. Throws QmpError `too-long` for one that is. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let start = 0
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
      this.#add(chunk.subarray(start, end))
      start = end + 1
      yield this.#take()
    }
    this.#add(chunk.subarray(start))
  }

  #add(part: Uint8Array): void {
    this.#sizeBytes += part.length
    if (this.#sizeBytes > this.#sizeMax) {
      throw new QmpError('too-long', `QEMU sent a message of more than ${this.#sizeMax} bytes`)
    }
    if (part.length > 0) this.#parts.push(part)
  }

  #take(): Uint8Array {
    const line = this.#parts.length === 1 && this.#parts[0] !== undefined ? this.#parts[0] : Buffer.concat(this.#parts)
    this.#parts = []
    this.#sizeBytes = 0
    return line
  }
}
