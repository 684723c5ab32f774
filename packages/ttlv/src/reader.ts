import { Secret, secretSizeMax } from '@cryptvisor/secret'
import type { Item } from './item.ts'
import { ItemType, itemTypeName } from './item-type.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { formatTag } from './tag.ts'
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
export interface Mark {
  readonly position: number
  readonly end: number
  readonly depth: number
  readonly secretCount: number
}

const headerSize = 8
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the items of one message in order, and checks each as it comes (KMIP 1.4, 9.1). */
export class Reader {
  readonly version: Version
  readonly unknownFields: 'refuse' | 'ignore'
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #limits: Limits
  readonly #secrets: Secret[] = []
  #position = 0
  #end: number
  #depth = 0
  #itemCount = 0

  /** The bytes are read, never kept: what is handed out is copied. */
  constructor(bytes: Uint8Array, options: DecodeOptions) {
    this.version = options.version
    this.unknownFields = options.unknownFields ?? 'refuse'
    this.#limits = { ...defaultLimits, ...options.limits }
    if (bytes.length > this.#limits.messageSizeMax) {
      throw new TtlvError(
        'limit-exceeded',
        `has ${bytes.length} bytes, at most ${this.#limits.messageSizeMax} are taken`,
      )
    }
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#end = bytes.length
  }

  /** The tag of the next item; `null` at the end of the structure that is being read. */
  get nextTag(): number | null {
    if (this.#position === this.#end) return null
    this.#checkHeader()
    return this.#view.getUint32(this.#position) >>> 8
  }

  /** The type of the next item as it stands there; `null` when there is no item or no such type. */
  get nextType(): ItemType | null {
    return this.nextTag === null ? null : itemTypeName(this.#view.getUint8(this.#position + 3))
  }

  get mark(): Mark {
    return { position: this.#position, end: this.#end, depth: this.#depth, secretCount: this.#secrets.length }
  }

  /** Goes back to `mark`; secrets that were read since then are wiped. */
  reset(mark: Mark): void {
    this.#position = mark.position
    this.#end = mark.end
    this.#depth = mark.depth
    for (const secret of this.#secrets.splice(mark.secretCount)) secret[Symbol.dispose]()
  }

  /** Whether an item with `tag` comes later in the structure that is being read. */
  comesLater(tag: number): boolean {
    const mark = this.mark
    const itemCount = this.#itemCount
    try {
      while (this.nextTag !== null) {
        if (this.nextTag === tag) return true
        this.skip()
      }
      return false
    } finally {
      this.reset(mark)
      this.#itemCount = itemCount
    }
  }

  /** Passes over one item, whatever is in it. */
  skip(): void {
    this.#checkHeader()
    const length = this.#view.getUint32(this.#position + 4)
    this.#countItem()
    this.#position += headerSize
    this.#checkRoom(length)
    this.#position += paddedSize(length)
  }

  /** Reads the first item of the next structure with `item`, `undefined` when it has another tag, and goes back. */
  lookAhead<Value>(tag: number, item: Item<Value>): Value | undefined {
    const mark = this.mark
    const itemCount = this.#itemCount
    this.#enter(tag)
    const value = this.nextTag === item.tag ? item.decode(this) : undefined
    this.reset(mark)
    this.#itemCount = itemCount
    return value
  }

  /** Reads a structure; `content` must read all that is in it. */
  structure<Result>(tag: number, content: () => Result): Result {
    const end = this.#end
    this.#enter(tag)
    const result = content()
    if (this.#position !== this.#end) throw new TtlvError('trailing-bytes', 'has items after the last that was read')
    this.#end = end
    this.#depth--
    return result
  }

  integer(tag: number): number {
    return this.#view.getInt32(this.#fixed(tag, 'Integer', 4))
  }

  longInteger(tag: number): bigint {
    return this.#view.getBigInt64(this.#fixed(tag, 'LongInteger', 8))
  }

  /** Two's complement, sign-extended to a multiple of 8 bytes and not further (KMIP 1.4, 9.1.1.4). */
  bigInteger(tag: number): bigint {
    const length = this.#open(tag, 'BigInteger')
    if (length === 0 || length % 8 !== 0) {
      throw new TtlvError('wrong-length', `has length ${length}; a Big Integer has a multiple of 8, 8 or more`)
    }
    const start = this.#position
    this.#position += length
    let value = this.#view.getBigInt64(start)
    if (length > 8 && value === this.#view.getBigInt64(start + 8) >> 63n) {
      throw new TtlvError('wrong-padding', 'is sign-extended further than to a multiple of 8 bytes')
    }
    for (let offset = start + 8; offset < this.#position; offset += 8) {
      value = (value << 64n) | this.#view.getBigUint64(offset)
    }
    return value
  }

  /** The number of the value; what it is called is the declaration's business. */
  enumeration(tag: number): number {
    return this.#view.getUint32(this.#fixed(tag, 'Enumeration', 4))
  }

  boolean(tag: number): boolean {
    const value = this.#view.getBigUint64(this.#fixed(tag, 'Boolean', 8))
    if (value > 1n) throw new TtlvError('wrong-value', 'is neither 0 nor 1, which alone a Boolean can be')
    return value === 1n
  }

  text(tag: number): string {
    try {
      return utf8.decode(this.#variable(tag, 'TextString'))
    } catch (error) {
      if (error instanceof TtlvError) throw error
      throw new TtlvError('wrong-value', 'is not valid UTF-8')
    }
  }

  bytes(tag: number): Uint8Array {
    return Uint8Array.from(this.#variable(tag, 'ByteString'))
  }

  /** Key material or a password; it is wiped when the message turns out to be broken further on. */
  secret(tag: number, type: 'ByteString' | 'TextString'): Secret {
    const bytes = this.#variable(tag, type)
    if (type === 'TextString') {
      try {
        utf8.decode(bytes)
      } catch {
        throw new TtlvError('wrong-value', 'is not valid UTF-8')
      }
    }
    return this.#keep(bytes)
  }

  /** The value of the next item, whatever its type and unchecked, as a secret: nobody knows what is in it. */
  undeclared(tag: number): { type: ItemType; content: Secret } {
    const type = this.nextType
    if (type === null) throw new TtlvError('wrong-type', 'has a type that does not exist')
    return { type, content: this.#keep(this.#variable(tag, type)) }
  }

  /** Seconds since 1970, whole ones. Refuses what a Date cannot hold: years beyond some 270,000. */
  dateTime(tag: number): Date {
    const date = new Date(Number(this.#view.getBigInt64(this.#fixed(tag, 'DateTime', 8))) * 1000)
    if (Number.isNaN(date.getTime())) throw new TtlvError('out-of-range', 'is further from 1970 than 270,000 years')
    return date
  }

  /** Microseconds since 1970. */
  dateTimeExtended(tag: number): bigint {
    return this.#view.getBigInt64(this.#fixed(tag, 'DateTimeExtended', 8))
  }

  /** Seconds. */
  interval(tag: number): number {
    return this.#view.getUint32(this.#fixed(tag, 'Interval', 4))
  }

  /** Refuses bytes after the last item of the message. */
  finish(): void {
    const count = this.#end - this.#position
    if (count !== 0) throw new TtlvError('trailing-bytes', `${count} bytes follow the message`)
  }

  #enter(tag: number): void {
    const length = this.#open(tag, 'Structure')
    if (length % 8 !== 0) throw new TtlvError('wrong-length', `has length ${length}; a structure has a multiple of 8`)
    if (this.#depth === this.#limits.depthMax) {
      throw new TtlvError('limit-exceeded', `lies deeper than ${this.#limits.depthMax} structures`)
    }
    this.#end = this.#position + length
    this.#depth++
  }

  #keep(bytes: Uint8Array): Secret {
    if (bytes.length > secretSizeMax) {
      throw new TtlvError('limit-exceeded', `has ${bytes.length} bytes, at most ${secretSizeMax} are taken`)
    }
    const secret = Secret.from(Uint8Array.from(bytes))
    this.#secrets.push(secret)
    return secret
  }

  /** Where the value of an item of fixed length starts; goes past it. */
  #fixed(tag: number, type: ItemType, size: number): number {
    const length = this.#open(tag, type)
    if (length !== size) throw new TtlvError('wrong-length', `has length ${length}, not ${size} as ${type} must have`)
    const start = this.#position
    this.#pass(length)
    return start
  }

  /** The value of an item of any length, as a view into the message; goes past it. */
  #variable(tag: number, type: ItemType): Uint8Array {
    const length = this.#open(tag, type)
    const start = this.#position
    this.#pass(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** Goes to the value of the next item, which must have this tag and type, and says how long it is. */
  #open(tag: number, type: ItemType): number {
    const found = this.nextTag
    if (found === null)
      throw new TtlvError('missing-field', `is missing: ${formatTag(tag)} of type ${type} was expected`)
    if (found !== tag) throw new TtlvError('wrong-tag', `has tag ${formatTag(found)}, not ${formatTag(tag)}`)
    const typeNumber = this.#view.getUint8(this.#position + 3)
    if (typeNumber !== ItemType[type]) {
      throw new TtlvError('wrong-type', `has type ${itemTypeName(typeNumber) ?? typeNumber}, not ${type}`)
    }
    const length = this.#view.getUint32(this.#position + 4)
    this.#countItem()
    this.#position += headerSize
    this.#checkRoom(length)
    return length
  }

  #checkHeader(): void {
    if (this.#end - this.#position < headerSize) {
      throw new TtlvError('truncated', `ends inside the header of an item: ${this.#end - this.#position} of 8 bytes`)
    }
  }

  #checkRoom(length: number): void {
    const room = this.#end - this.#position
    if (paddedSize(length) > room) {
      throw new TtlvError('truncated', `has length ${length}, and only ${room} bytes are left for it`)
    }
  }

  /** Goes past a value and its padding, which must be zero (KMIP 1.4, 9.1.1.3). */
  #pass(length: number): void {
    const end = this.#position + paddedSize(length)
    for (let offset = this.#position + length; offset < end; offset++) {
      if (this.#bytes[offset] !== 0) throw new TtlvError('wrong-padding', 'is padded with something else than zeros')
    }
    this.#position = end
  }

  #countItem(): void {
    this.#itemCount++
    if (this.#itemCount > this.#limits.itemCountMax) {
      throw new TtlvError('limit-exceeded', `is one item too many: a message has at most ${this.#limits.itemCountMax}`)
    }
  }
}

function paddedSize(length: number): number {
  return Math.ceil(length / 8) * 8
}
