import { Secret } from '@cryptvisor/secret'
import type { Item } from './item.ts'
import { ItemType } from './item-type.ts'
import { TtlvError } from './ttlv-error.ts'

/** An item as it came: nobody knows what is in it, so it is kept as a secret. */
export interface Undeclared {
  readonly type: ItemType
  /** The bytes of the value, without padding; those of a structure are its items. */
  readonly content: Secret
}

/** An item of any type and content, such as the payload of an operation that we do not know. */
export function undeclared(tag: number): Item<Undeclared> {
  return {
    tag,
    type: null,
    decode: (reader) => reader.undeclared(tag),
    encode(value, sink) {
      if (!Object.hasOwn(ItemType, value.type) || !(value.content instanceof Secret)) {
        throw new TtlvError('wrong-value', 'must have a type and, as content, a Secret')
      }
      sink.secret(tag, value.type, value.content)
    },
  }
}
