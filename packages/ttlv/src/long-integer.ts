import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Long Integer: signed, 64 bits. */
export function longInteger(tag: number): Item<bigint> {
  return {
    tag,
    type: 'LongInteger',
    decode: (reader) => reader.longInteger(tag),
    encode(value, sink) {
      if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) {
        throw new TtlvError('wrong-value', 'must be a bigint from -2^63 to 2^63-1')
      }
      sink.longInteger(tag, value)
    },
  }
}
