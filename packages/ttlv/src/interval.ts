import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** An Interval: seconds, unsigned, 32 bits. */
export function interval(tag: number): Item<number> {
  return {
    tag,
    type: 'Interval',
    decode: (reader) => reader.interval(tag),
    encode(value, sink) {
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
        throw new TtlvError('wrong-value', 'must be a whole number of seconds from 0 to 2^32-1')
      }
      sink.interval(tag, value)
    },
  }
}
