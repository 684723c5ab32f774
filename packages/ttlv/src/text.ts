import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Text String. Not for passwords: see `secretText`. */
export function text(tag: number): Item<string> {
  return {
    tag,
    type: 'TextString',
    decode: (reader) => reader.text(tag),
    encode(value, sink) {
      if (typeof value !== 'string' || !value.isWellFormed()) {
        throw new TtlvError('wrong-value', 'must be a string without lone surrogates')
      }
      sink.text(tag, value)
    },
  }
}
