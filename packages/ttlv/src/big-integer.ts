import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Big Integer of any size. Not for key material: a bigint cannot be wiped. */
export function bigInteger(tag: number): Item<bigint> {
  return {
    tag,
    type: 'BigInteger',
    decode: (reader) => reader.bigInteger(tag),
    encode(value, sink) {
      if (typeof value !== 'bigint') throw new TtlvError('wrong-value', 'must be a bigint')
      sink.bigInteger(tag, value)
    },
  }
}
