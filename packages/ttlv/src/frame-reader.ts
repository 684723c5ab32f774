import { ItemType } from './item-type.ts'
import { messageSizeMax } from './limits.ts'
import { formatTag } from './tag.ts'
import { TtlvError } from './ttlv-error.ts'

const headerSize = 8
const bufferSizeAtFirst = 4096

export interface FrameReaderOptions {
  /** The tag that every message must have. */
  readonly tag: number
  /** How many bytes a message may have, its header included. */
  readonly messageSizeMax?: number
}

/**
 * Cuts a stream of bytes into messages. A message whose header is not what it must be, or announces too much, is
 * refused before anything of it is kept; memory grows with what has come, not with what was announced.
 */
export class FrameReader {
  readonly #tag: number
  readonly #messageSizeMax: number
  readonly #header = new Uint8Array(headerSize)
  #message = this.#header
  #size = headerSize
  #filled = 0

  constructor(options: FrameReaderOptions) {
    this.#tag = options.tag
    this.#messageSizeMax = options.messageSizeMax ?? messageSizeMax
  }

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.#filled > 0
  }

  /**
   * Takes what came, and gives the messages that became whole, each in a buffer of its own for the caller to wipe. The
   * chunk is wiped. Throws a TtlvError at a header that is refused; the stream is of no use then.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let offset = 0
    try {
      while (offset < chunk.length) {
        const count = Math.min(chunk.length - offset, this.#size - this.#filled)
        this.#append(chunk.subarray(offset, offset + count))
        offset += count
        if (this.#filled < this.#size) break
        if (this.#message === this.#header) this.#begin()
        if (this.#message !== this.#header && this.#filled === this.#size) yield this.#take()
      }
    } finally {
      chunk.fill(0)
    }
  }

  /** Overwrites what is there of a message that has not ended. */
  wipe(): void {
    this.#message.fill(0)
    this.#header.fill(0)
    this.#message = this.#header
    this.#size = headerSize
    this.#filled = 0
  }

  #begin(): void {
    const view = new DataView(this.#header.buffer)
    const tag = view.getUint32(0) >>> 8
    if (tag !== this.#tag) {
      throw new TtlvError('wrong-tag', `the message begins with tag ${formatTag(tag)}, not ${formatTag(this.#tag)}`)
    }
    if (view.getUint8(3) !== ItemType.Structure) {
      throw new TtlvError('wrong-type', `the message has type ${view.getUint8(3)}, not that of a structure`)
    }
    const length = view.getUint32(4)
    if (headerSize + length > this.#messageSizeMax) {
      throw new TtlvError(
        'limit-exceeded',
        `the message has ${headerSize + length} bytes, at most ${this.#messageSizeMax} are taken`,
      )
    }
    if (length % 8 !== 0) {
      throw new TtlvError('wrong-length', `the message has length ${length}; a structure has a multiple of 8`)
    }
    this.#size = headerSize + length
    this.#message = new Uint8Array(Math.min(this.#size, bufferSizeAtFirst))
    this.#message.set(this.#header)
  }

  #append(bytes: Uint8Array): void {
    const filled = this.#filled + bytes.length
    if (filled > this.#message.length) {
      const larger = new Uint8Array(Math.min(this.#size, Math.max(filled, this.#message.length * 2)))
      larger.set(this.#message.subarray(0, this.#filled))
      this.#message.fill(0)
      this.#message = larger
    }
    this.#message.set(bytes, this.#filled)
    this.#filled = filled
  }

  #take(): Uint8Array {
    const message = this.#message.subarray(0, this.#size)
    this.#message = this.#header
    this.wipe()
    return message
  }
}
