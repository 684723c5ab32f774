import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** An Integer: signed, 32 bits. */
export function integer(tag: number): Item<number> {
  return {
    tag,
    type: 'Integer',
    decode: (reader) => reader.integer(tag),
    encode(value, sink) {
      if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31) {
        throw new TtlvError('wrong-value', 'must be a whole number from -2^31 to 2^31-1')
      }
      sink.integer(tag, value)
    },
  }
}
