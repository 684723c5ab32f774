import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Date-Time Extended (KMIP 2.0 and later): microseconds since 1970. */
export function dateTimeExtended(tag: number): Item<bigint> {
  return {
    tag,
    type: 'DateTimeExtended',
    decode: (reader) => reader.dateTimeExtended(tag),
    encode(value, sink) {
      if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) {
        throw new TtlvError('wrong-value', 'must be a bigint from -2^63 to 2^63-1')
      }
      sink.dateTimeExtended(tag, value)
    },
  }
}
