import { Dumper } from './dumper.ts'
import type { Item } from './item.ts'
import { messageSizeMax } from './limits.ts'
import { type DecodeOptions, Reader } from './reader.ts'
import { TtlvError } from './ttlv-error.ts'
import type { Version } from './version.ts'
import { Writer } from './writer.ts'

export interface EncodeOptions {
  /** The version of the message: a value for a field outside of it is refused. */
  readonly version: Version
  readonly messageSizeMax?: number
}

export interface DumpOptions {
  readonly version: Version
  /** The standard's name of a tag; `null` when it has none. */
  readonly tagName: (tag: number) => string | null
}

/**
 * Decodes one item that fills `bytes`, which are not kept. Throws a TtlvError, and then every secret that was decoded
 * already is wiped.
 */
export function decode<Value>(item: Item<Value>, bytes: Uint8Array, options: DecodeOptions): Value {
  const reader = new Reader(bytes, options)
  const start = reader.mark
  try {
    const value = item.decode(reader)
    reader.finish()
    return value
  } catch (error) {
    reader.reset(start)
    throw error
  }
}

/** Encodes into a buffer of its own. It holds what secrets `value` has: wipe it when it was sent. Throws a TtlvError. */
export function encode<Value>(item: Item<Value>, value: Value, options: EncodeOptions): Uint8Array {
  const writer = new Writer(options.version, options.messageSizeMax ?? messageSizeMax)
  try {
    item.encode(value, writer)
    return writer.take()
  } catch (error) {
    writer.wipe()
    throw error
  }
}

/** Shows a value as text, a line for an item. Secrets show their size only. Throws a TtlvError, as `encode` does. */
export function dump<Value>(item: Item<Value>, value: Value, options: DumpOptions): string {
  const dumper = new Dumper(options.version, options.tagName)
  item.encode(value, dumper)
  return dumper.content
}

/**
 * The first item of nested structures, for instance the version in the header of a message. `tags` are those of the
 * structures, from the outermost. `null` when it is not there or is broken.
 */
export function peek<Value>(item: Item<Value>, bytes: Uint8Array, tags: readonly number[]): Value | null {
  try {
    // No field of another version is passed over on the way.
    const reader = new Reader(bytes, { version: { major: 0, minor: 0 } })
    const inside = tags.reduceRight((inner: Item<unknown>, tag) => firstOf(tag, inner), item)
    // `inside` ends in `item`, or in `undefined` where it is not there.
    return (inside.decode(reader) ?? null) as Value | null
  } catch (error) {
    if (error instanceof TtlvError) return null
    throw error
  }
}

function firstOf(tag: number, inner: Item<unknown>): Item<unknown> {
  return {
    tag,
    type: 'Structure',
    decode: (reader) => reader.lookAhead(tag, inner),
    encode: () => undefined,
  }
}
