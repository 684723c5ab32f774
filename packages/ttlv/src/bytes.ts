import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Byte String that is no secret; see `secretBytes` for key material. */
export function bytes(tag: number): Item<Uint8Array> {
  return {
    tag,
    type: 'ByteString',
    decode: (reader) => reader.bytes(tag),
    encode(value, sink) {
      if (!(value instanceof Uint8Array)) throw new TtlvError('wrong-value', 'must be a Uint8Array')
      sink.bytes(tag, value)
    },
  }
}
