import { Buffer } from 'node:buffer'
import type { Secret } from '@cryptvisor/secret'
import { ItemType } from './item-type.ts'
import type { Sink } from './sink.ts'
import { TtlvError } from './ttlv-error.ts'
import type { Version } from './version.ts'

const sizeAtFirst = 512
const utf8 = new TextEncoder()

/** Writes items as TTLV into one buffer. A buffer that became too small is wiped when it is left. */
export class Writer implements Sink {
  readonly version: Version
  readonly #messageSizeMax: number
  #bytes = new Uint8Array(sizeAtFirst)
  #view = new DataView(this.#bytes.buffer)
  #position = 0

  constructor(version: Version, messageSizeMax: number) {
    this.version = version
    this.#messageSizeMax = messageSizeMax
  }

  /** What was written; the writer is of no use afterwards, and the bytes belong to the caller. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#position)
    this.#bytes = new Uint8Array(0)
    return bytes
  }

  /** Overwrites what was written. */
  wipe(): void {
    this.#bytes.fill(0)
    this.#position = 0
  }

  structure(tag: number, content: () => void): void {
    this.#header(tag, 'Structure', 0)
    const start = this.#position
    content()
    this.#view.setUint32(start - 4, this.#position - start)
  }

  integer(tag: number, value: number): void {
    const start = this.#header(tag, 'Integer', 4)
    this.#view.setInt32(start, value)
  }

  longInteger(tag: number, value: bigint): void {
    const start = this.#header(tag, 'LongInteger', 8)
    this.#view.setBigInt64(start, value)
  }

  bigInteger(tag: number, value: bigint): void {
    const digits = (value < 0n ? ~value : value).toString(16)
    const hasRoomForSign = digits.length % 16 !== 0 || digits < '8'
    const length = (Math.ceil(digits.length / 16) + (hasRoomForSign ? 0 : 1)) * 8
    const hex = BigInt.asUintN(length * 8, value).toString(16)
    const start = this.#header(tag, 'BigInteger', length)
    this.#bytes.set(Buffer.from(hex.padStart(length * 2, '0'), 'hex'), start)
  }

  enumeration(tag: number, value: number): void {
    const start = this.#header(tag, 'Enumeration', 4)
    this.#view.setUint32(start, value)
  }

  boolean(tag: number, value: boolean): void {
    const start = this.#header(tag, 'Boolean', 8)
    this.#view.setBigUint64(start, value ? 1n : 0n)
  }

  text(tag: number, value: string): void {
    this.#copy(tag, 'TextString', utf8.encode(value))
  }

  bytes(tag: number, value: Uint8Array): void {
    this.#copy(tag, 'ByteString', value)
  }

  secret(tag: number, type: ItemType, value: Secret): void {
    value.expose((bytes) => this.#copy(tag, type, bytes))
  }

  dateTime(tag: number, value: Date): void {
    const start = this.#header(tag, 'DateTime', 8)
    this.#view.setBigInt64(start, BigInt(value.getTime() / 1000))
  }

  dateTimeExtended(tag: number, value: bigint): void {
    const start = this.#header(tag, 'DateTimeExtended', 8)
    this.#view.setBigInt64(start, value)
  }

  interval(tag: number, seconds: number): void {
    const start = this.#header(tag, 'Interval', 4)
    this.#view.setUint32(start, seconds)
  }

  #copy(tag: number, type: ItemType, value: Uint8Array): void {
    const start = this.#header(tag, type, value.length)
    this.#bytes.set(value, start)
  }

  /**
   * Writes the header of an item, makes room for its value and padding, and says where the value goes. To be called
   * before `#view` is looked at: making room may replace it.
   */
  #header(tag: number, type: ItemType, length: number): number {
    const start = this.#position + 8
    this.#reserve(start + Math.ceil(length / 8) * 8)
    this.#view.setUint32(start - 8, ((tag << 8) | ItemType[type]) >>> 0)
    this.#view.setUint32(start - 4, length)
    return start
  }

  #reserve(size: number): void {
    if (size > this.#messageSizeMax) {
      throw new TtlvError('limit-exceeded', `makes the message larger than ${this.#messageSizeMax} bytes`)
    }
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, this.#position))
      this.#bytes.fill(0)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    this.#position = size
  }
}
