import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Boolean. */
export function boolean(tag: number): Item<boolean> {
  return {
    tag,
    type: 'Boolean',
    decode: (reader) => reader.boolean(tag),
    encode(value, sink) {
      if (typeof value !== 'boolean') throw new TtlvError('wrong-value', 'must be true or false')
      sink.boolean(tag, value)
    },
  }
}
