import { Buffer, isUtf8 } from 'node:buffer'
import { Secret, secretSizeMax } from '@cryptvisor/secret'
import { Cursor, type Position } from './cursor.ts'
import type { Item } from './item.ts'
import type { ItemType } from './item-type.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { TtlvError } from './ttlv-error.ts'
import type { Version } from './version.ts'

export interface DecodeOptions {
  /** The version of the message: fields outside of it are unknown. */
  readonly version: Version
  /** `ignore` for a message of a higher minor version than we know; `refuse` unless said otherwise. */
  readonly unknownFields?: 'refuse' | 'ignore'
  readonly limits?: Partial<Limits>
}

/** A place in a message to which a reader can go back. */
export interface Mark extends Position {
  readonly secretCount: number
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the items of one message in order, and checks each as it comes (KMIP 1.4, 9.1). */
export class Reader {
  readonly version: Version
  readonly unknownFields: 'refuse' | 'ignore'
  readonly #cursor: Cursor
  readonly #view: DataView
  readonly #secrets: Secret[] = []

  /** The bytes are read, never kept: what is handed out is copied. */
  constructor(bytes: Uint8Array, options: DecodeOptions) {
    this.version = options.version
    this.unknownFields = options.unknownFields ?? 'refuse'
    this.#cursor = new Cursor(bytes, { ...defaultLimits, ...options.limits })
    this.#view = this.#cursor.view
  }

  /** The tag of the next item; `null` at the end of the structure that is being read. */
  get nextTag(): number | null {
    return this.#cursor.nextTag
  }

  /** The type of the next item as it stands there; `null` when there is no item or no such type. */
  get nextType(): ItemType | null {
    return this.#cursor.nextType
  }

  get mark(): Mark {
    return { ...this.#cursor.position, secretCount: this.#secrets.length }
  }

  /** Goes back to `mark`; secrets that were read since then are wiped. */
  reset(mark: Mark): void {
    this.#cursor.position = mark
    for (const secret of this.#secrets.splice(mark.secretCount)) secret[Symbol.dispose]()
  }

  /** Whether an item with `tag` comes later in the structure that is being read. */
  comesLater(tag: number): boolean {
    const { position } = this.#cursor
    try {
      for (; this.nextTag !== null; this.skip()) if (this.nextTag === tag) return true
      return false
    } finally {
      this.#cursor.position = position
    }
  }

  /** Passes over one item, whatever is in it. */
  skip(): void {
    this.#cursor.skip()
  }

  /** Reads the first item of the next structure with `item`, `undefined` when it has another tag, and goes back. */
  lookAhead<Value>(tag: number, item: Item<Value>): Value | undefined {
    const { position } = this.#cursor
    this.#cursor.enter(tag)
    const value = this.nextTag === item.tag ? item.decode(this) : undefined
    this.#cursor.position = position
    return value
  }

  /** Reads a structure; `content` must read all that is in it. */
  structure<Result>(tag: number, content: () => Result): Result {
    const { position } = this.#cursor
    this.#cursor.enter(tag)
    const result = content()
    this.#cursor.leave(position)
    return result
  }

  integer(tag: number): number {
    return this.#view.getInt32(this.#cursor.fixed(tag, 'Integer', 4))
  }

  longInteger(tag: number): bigint {
    return this.#view.getBigInt64(this.#cursor.fixed(tag, 'LongInteger', 8))
  }

  /** Two's complement, sign-extended to a multiple of 8 bytes and not further (KMIP 1.4, 9.1.1.4). */
  bigInteger(tag: number): bigint {
    const bytes = this.#cursor.variable(tag, 'BigInteger')
    if (bytes.length === 0 || bytes.length % 8 !== 0) {
      throw new TtlvError('wrong-length', `has length ${bytes.length}; a Big Integer has a multiple of 8, 8 or more`)
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    if (bytes.length > 8 && view.getBigInt64(0) === view.getBigInt64(8) >> 63n) {
      throw new TtlvError('wrong-padding', 'is sign-extended further than to a multiple of 8 bytes')
    }
    // Word by word it would take time by the square of the length.
    const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
    return BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`))
  }

  /** The number of the value; what it is called is the declaration's business. */
  enumeration(tag: number): number {
    return this.#view.getUint32(this.#cursor.fixed(tag, 'Enumeration', 4))
  }

  boolean(tag: number): boolean {
    const value = this.#view.getBigUint64(this.#cursor.fixed(tag, 'Boolean', 8))
    if (value > 1n) throw new TtlvError('wrong-value', 'is neither 0 nor 1, which alone a Boolean can be')
    return value === 1n
  }

  text(tag: number): string {
    return decodeText(this.#cursor.variable(tag, 'TextString'))
  }

  bytes(tag: number): Uint8Array {
    return Uint8Array.from(this.#cursor.variable(tag, 'ByteString'))
  }

  /** Key material or a password; it is wiped when the message turns out to be broken further on. */
  secret(tag: number, type: 'ByteString' | 'TextString'): Secret {
    const bytes = this.#cursor.variable(tag, type)
    // Checked as bytes: a password never becomes a string.
    if (type === 'TextString' && !isUtf8(bytes)) throw new TtlvError('wrong-value', 'is not valid UTF-8')
    return this.#keep(bytes)
  }

  /** The value of the next item, whatever its type and unchecked, as a secret: nobody knows what is in it. */
  undeclared(tag: number): { type: ItemType; content: Secret } {
    const type = this.nextType
    if (type === null) throw new TtlvError('wrong-type', 'has a type that does not exist')
    return { type, content: this.#keep(this.#cursor.variable(tag, type)) }
  }

  /** Seconds since 1970, whole ones. Refuses what a Date cannot hold: years beyond some 270,000. */
  dateTime(tag: number): Date {
    const date = new Date(Number(this.#view.getBigInt64(this.#cursor.fixed(tag, 'DateTime', 8))) * 1000)
    if (Number.isNaN(date.getTime())) throw new TtlvError('out-of-range', 'is further from 1970 than 270,000 years')
    return date
  }

  /** Microseconds since 1970. */
  dateTimeExtended(tag: number): bigint {
    return this.#view.getBigInt64(this.#cursor.fixed(tag, 'DateTimeExtended', 8))
  }

  /** Seconds. */
  interval(tag: number): number {
    return this.#view.getUint32(this.#cursor.fixed(tag, 'Interval', 4))
  }

  /** Refuses bytes after the last item of the message. */
  finish(): void {
    const { room } = this.#cursor
    if (room !== 0) throw new TtlvError('trailing-bytes', `${room} bytes follow the message`)
  }

  #keep(bytes: Uint8Array): Secret {
    if (bytes.length > secretSizeMax) {
      throw new TtlvError('limit-exceeded', `has ${bytes.length} bytes, at most ${secretSizeMax} are taken`)
    }
    const secret = Secret.from(Uint8Array.from(bytes))
    this.#secrets.push(secret)
    return secret
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new TtlvError('wrong-value', 'is not valid UTF-8')
  }
}
