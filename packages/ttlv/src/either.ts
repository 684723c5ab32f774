import type { Item } from './item.ts'
import { formatTag } from './tag.ts'

/**
 * An item of one tag and two types, such as a Key Value: a Byte String when it is wrapped, else a Structure. The type
 * tells them apart on the wire, `isOne` among values.
 */
export function either<One, Other>(
  one: Item<One>,
  isOne: (value: One | Other) => value is One,
  other: Item<Other>,
): Item<One | Other> {
  if (one.tag !== other.tag) throw new RangeError(`${formatTag(one.tag)} and ${formatTag(other.tag)} differ`)
  return {
    tag: one.tag,
    type: null,
    decode: (reader) => (reader.nextType === one.type ? one.decode(reader) : other.decode(reader)),
    encode: (value, sink) => (isOne(value) ? one.encode(value, sink) : other.encode(value, sink)),
  }
}
