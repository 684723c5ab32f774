import type { Secret } from '@cryptvisor/secret'
import type { ItemType } from './item-type.ts'
import type { Sink } from './sink.ts'
import { formatTag } from './tag.ts'
import type { Version } from './version.ts'

/** How many bytes of a Byte String are shown. */
const bytesShownMax = 64

/** Writes items as lines of text; of a secret nothing but the size is shown. */
export class Dumper implements Sink {
  readonly version: Version
  readonly #tagName: (tag: number) => string | null
  readonly #lines: string[] = []
  #depth = 0

  constructor(version: Version, tagName: (tag: number) => string | null) {
    this.version = version
    this.#tagName = tagName
  }

  /** What was written so far. */
  get content(): string {
    return this.#lines.join('\n')
  }

  structure(tag: number, content: () => void): void {
    this.#line(tag, 'Structure', '')
    this.#depth++
    content()
    this.#depth--
  }

  integer(tag: number, value: number): void {
    this.#line(tag, 'Integer', ` ${value}`)
  }

  longInteger(tag: number, value: bigint): void {
    this.#line(tag, 'LongInteger', ` ${value}`)
  }

  bigInteger(tag: number, value: bigint): void {
    this.#line(tag, 'BigInteger', ` ${value}`)
  }

  enumeration(tag: number, value: number, name: string | null): void {
    this.#line(tag, 'Enumeration', ` ${name ?? `0x${value.toString(16).toUpperCase().padStart(8, '0')}`}`)
  }

  boolean(tag: number, value: boolean): void {
    this.#line(tag, 'Boolean', ` ${value}`)
  }

  text(tag: number, value: string): void {
    this.#line(tag, 'TextString', ` ${JSON.stringify(value)}`)
  }

  bytes(tag: number, value: Uint8Array): void {
    const more = value.length > bytesShownMax ? `... (${value.length} bytes)` : ''
    this.#line(tag, 'ByteString', ` ${Buffer.from(value.subarray(0, bytesShownMax)).toString('hex')}${more}`)
  }

  secret(tag: number, type: ItemType, value: Secret): void {
    this.#line(tag, type, ` [secret, ${value.sizeBytes} bytes]`)
  }

  dateTime(tag: number, value: Date): void {
    this.#line(tag, 'DateTime', ` ${value.toISOString()}`)
  }

  dateTimeExtended(tag: number, value: bigint): void {
    this.#line(tag, 'DateTimeExtended', ` ${value}`)
  }

  interval(tag: number, seconds: number): void {
    this.#line(tag, 'Interval', ` ${seconds}`)
  }

  #line(tag: number, type: ItemType, value: string): void {
    this.#lines.push(`${'  '.repeat(this.#depth)}${this.#tagName(tag) ?? formatTag(tag)} ${type}${value}`)
  }
}
