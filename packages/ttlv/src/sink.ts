import type { Secret } from '@cryptvisor/secret'
import type { ItemType } from './item-type.ts'
import type { Version } from './version.ts'

/**
 * Takes the items of a message one after the other. Encoding and dumping are the same walk through a declaration with
 * different sinks; other encodings (XML, JSON) would be more of them.
 */
export interface Sink {
  readonly version: Version
  structure(tag: number, content: () => void): void
  integer(tag: number, value: number): void
  longInteger(tag: number, value: bigint): void
  bigInteger(tag: number, value: bigint): void
  /** `name` is `null` for a value that the standard does not name. */
  enumeration(tag: number, value: number, name: string | null): void
  boolean(tag: number, value: boolean): void
  text(tag: number, value: string): void
  bytes(tag: number, value: Uint8Array): void
  /** A value of any type that must not be shown. */
  secret(tag: number, type: ItemType, value: Secret): void
  dateTime(tag: number, value: Date): void
  /** Microseconds since 1970. */
  dateTimeExtended(tag: number, value: bigint): void
  /** Seconds. */
  interval(tag: number, seconds: number): void
}
