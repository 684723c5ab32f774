import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** An item that always has the same value: what tells the variants of a `choice` apart. */
export function constant<Value extends string | number, const Only extends Value>(
  item: Item<Value>,
  only: Only,
): Item<Only> {
  const check = (value: Value): Only => {
    if (value !== only) throw new TtlvError('wrong-value', `must be ${only}`)
    return only
  }
  return {
    tag: item.tag,
    type: item.type,
    decode: (reader) => check(item.decode(reader)),
    encode: (value, sink) => item.encode(check(value), sink),
  }
}
