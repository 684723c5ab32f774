import { Secret } from '@cryptvisor/secret'
import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Byte String that is key material: a `Secret` that whoever decoded it must dispose of. */
export function secretBytes(tag: number): Item<Secret> {
  return secretValue(tag, 'ByteString')
}

/** A Text String that is a password: a `Secret` with its UTF-8 bytes, that whoever decoded it must dispose of. */
export function secretText(tag: number): Item<Secret> {
  return secretValue(tag, 'TextString')
}

function secretValue(tag: number, type: 'ByteString' | 'TextString'): Item<Secret> {
  return {
    tag,
    type,
    decode: (reader) => reader.secret(tag, type),
    encode(value, sink) {
      if (!(value instanceof Secret) || value.wiped) {
        throw new TtlvError('wrong-value', 'must be a Secret that was not wiped')
      }
      sink.secret(tag, type, value)
    },
  }
}
