import { ItemType, itemTypeName } from './item-type.ts'
import type { Limits } from './limits.ts'
import { formatTag } from './tag.ts'
import { TtlvError } from './ttlv-error.ts'

/** Where a cursor is. */
export interface Position {
  readonly offset: number
  readonly end: number
  readonly depth: number
  readonly itemCount: number
}

const headerSize = 8

/** Goes through the items of a message, header by header, and never past what surrounds them (KMIP 1.4, 9.1.1). */
export class Cursor {
  readonly view: DataView
  readonly #bytes: Uint8Array
  readonly #limits: Limits
  #offset = 0
  #end: number
  #depth = 0
  #itemCount = 0

  constructor(bytes: Uint8Array, limits: Limits) {
    if (bytes.length > limits.messageSizeMax) {
      throw new TtlvError('limit-exceeded', `has ${bytes.length} bytes, at most ${limits.messageSizeMax} are taken`)
    }
    this.#limits = limits
    this.#bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#end = bytes.length
  }

  /** The tag of the next item; `null` at the end of the structure. */
  get nextTag(): number | null {
    if (this.#offset === this.#end) return null
    this.#checkHeader()
    return this.view.getUint32(this.#offset) >>> 8
  }

  /** The type of the next item; `null` when there is no item or no such type. */
  get nextType(): ItemType | null {
    return this.nextTag === null ? null : itemTypeName(this.view.getUint8(this.#offset + 3))
  }

  /** How many bytes of the structure are left. */
  get room(): number {
    return this.#end - this.#offset
  }

  get position(): Position {
    return { offset: this.#offset, end: this.#end, depth: this.#depth, itemCount: this.#itemCount }
  }

  /** Goes back to where it was. */
  set position(position: Position) {
    this.#offset = position.offset
    this.#end = position.end
    this.#depth = position.depth
    this.#itemCount = position.itemCount
  }

  /** Passes over one item, whatever is in it. */
  skip(): void {
    this.#checkHeader()
    const length = this.#enterValue()
    this.#offset += paddedSize(length)
  }

  /** Goes into a structure; its end is the end until `leave`. */
  enter(tag: number): void {
    const length = this.#open(tag, 'Structure')
    if (length % 8 !== 0) throw new TtlvError('wrong-length', `has length ${length}; a structure has a multiple of 8`)
    if (this.#depth === this.#limits.depthMax) {
      throw new TtlvError('limit-exceeded', `lies deeper than ${this.#limits.depthMax} structures`)
    }
    this.#end = this.#offset + length
    this.#depth++
  }

  /** Goes on behind the structure, all of which was read; `outer` is where the cursor was before `enter`. */
  leave(outer: Position): void {
    if (this.#offset !== this.#end) throw new TtlvError('trailing-bytes', 'has items after the last that was read')
    this.#end = outer.end
    this.#depth = outer.depth
  }

  /** Where the value of an item starts that has this length, always; goes past it. */
  fixed(tag: number, type: ItemType, size: number): number {
    const length = this.#open(tag, type)
    if (length !== size) throw new TtlvError('wrong-length', `has length ${length}, not ${size} as ${type} must have`)
    const start = this.#offset
    this.#pass(length)
    return start
  }

  /** The value of an item of any length, as a view into the message; goes past it. */
  variable(tag: number, type: ItemType): Uint8Array {
    const length = this.#open(tag, type)
    const start = this.#offset
    this.#pass(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** Goes to the value of the next item, which must have this tag and type, and says how long it is. */
  #open(tag: number, type: ItemType): number {
    const found = this.nextTag
    if (found === null)
      throw new TtlvError('missing-field', `is missing: ${formatTag(tag)} of type ${type} was expected`)
    if (found !== tag) throw new TtlvError('wrong-tag', `has tag ${formatTag(found)}, not ${formatTag(tag)}`)
    const typeNumber = this.view.getUint8(this.#offset + 3)
    if (typeNumber !== ItemType[type]) {
      throw new TtlvError('wrong-type', `has type ${itemTypeName(typeNumber) ?? typeNumber}, not ${type}`)
    }
    return this.#enterValue()
  }

  /** Counts an item, goes past its header, and gives the length of its value, for which there is room. */
  #enterValue(): number {
    this.#itemCount++
    if (this.#itemCount > this.#limits.itemCountMax) {
      throw new TtlvError('limit-exceeded', `is one item too many: a message has at most ${this.#limits.itemCountMax}`)
    }
    const length = this.view.getUint32(this.#offset + 4)
    this.#offset += headerSize
    if (paddedSize(length) > this.room) {
      throw new TtlvError('truncated', `has length ${length}, and only ${this.room} bytes are left for it`)
    }
    return length
  }

  #checkHeader(): void {
    if (this.room < headerSize) {
      throw new TtlvError('truncated', `ends inside the header of an item: ${this.room} of 8 bytes`)
    }
  }

  /** Goes past a value and its padding, which must be zero (KMIP 1.4, 9.1.1.3). */
  #pass(length: number): void {
    const end = this.#offset + paddedSize(length)
    for (let offset = this.#offset + length; offset < end; offset++) {
      if (this.#bytes[offset] !== 0) throw new TtlvError('wrong-padding', 'is padded with something else than zeros')
    }
    this.#offset = end
  }
}

function paddedSize(length: number): number {
  return Math.ceil(length / 8) * 8
}
