import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** A Date-Time: whole seconds. A Date with milliseconds is refused, never rounded. */
export function dateTime(tag: number): Item<Date> {
  return {
    tag,
    type: 'DateTime',
    decode: (reader) => reader.dateTime(tag),
    encode(value, sink) {
      if (!(value instanceof Date) || value.getTime() % 1000 !== 0) {
        throw new TtlvError('wrong-value', 'must be a valid Date of whole seconds')
      }
      sink.dateTime(tag, value)
    },
  }
}
