import { KmipError, ResponseBatchItem, ResponseHeader, Tag } from '@cryptvisor/kmip'
import { encode, ItemType, type Version } from '@cryptvisor/ttlv'

const headerSizeBytes = 8

/**
 * Puts an answer together item by item, so that an item that is too large fails alone and before it is committed
 * (KMIP 1.4, 6.3). What it holds may have keys: `wipe` it.
 */
export class AnswerWriter {
  readonly #version: Version
  readonly #header: Omit<ResponseHeader, 'batchCount'>
  readonly #sizeMax: number
  readonly #items: Uint8Array[] = []
  #sizeBytes: number

  constructor(header: Omit<ResponseHeader, 'batchCount'>, sizeMax: number) {
    this.#version = header.protocolVersion
    this.#header = header
    this.#sizeMax = sizeMax
    this.#sizeBytes = headerSizeBytes + this.#encodeHeader(1).length
  }

  /** How many items there are. */
  get itemCount(): number {
    return this.#items.length
  }

  /** Adds an item. Throws Response Too Large when there is no room for it. */
  add(item: ResponseBatchItem): void {
    const encoded = encode(ResponseBatchItem, item, { version: this.#version, messageSizeMax: Number.MAX_SAFE_INTEGER })
    if (this.#sizeBytes + encoded.length > this.#sizeMax) {
      encoded.fill(0)
      throw new KmipError('ResponseTooLarge', `the answer would have more than ${this.#sizeMax} bytes`)
    }
    this.#push(encoded)
  }

  /** Adds an item that must be told, whatever the client would take. */
  addFailure(item: ResponseBatchItem): void {
    this.#push(encode(ResponseBatchItem, item, { version: this.#version }))
  }

  /** The whole message, in a buffer of its own. */
  finish(): Uint8Array {
    const header = this.#encodeHeader(this.#items.length)
    const frame = Buffer.alloc(headerSizeBytes)
    frame.writeUInt32BE(Tag.ResponseMessage * 256 + ItemType.Structure)
    const contentSize = this.#items.reduce((size, item) => size + item.length, header.length)
    frame.writeUInt32BE(contentSize, 4)
    return Buffer.concat([frame, header, ...this.#items])
  }

  /** Overwrites and forgets all but the first `itemCount` items: what they answer did not come true, or was sent. */
  wipe(itemCount: number): void {
    for (const item of this.#items.splice(itemCount)) {
      this.#sizeBytes -= item.length
      item.fill(0)
    }
  }

  #push(encoded: Uint8Array): void {
    this.#items.push(encoded)
    this.#sizeBytes += encoded.length
  }

  #encodeHeader(batchCount: number): Uint8Array {
    return encode(ResponseHeader, { ...this.#header, batchCount }, { version: this.#version })
  }
}
