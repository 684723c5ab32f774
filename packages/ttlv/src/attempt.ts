import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/**
 * An item whose faults stay its own: when its content does not fit, the value is the TtlvError, and reading goes on
 * behind it. So one broken batch item fails, and not the whole message. Exceeded limits still end everything.
 */
export function attempt<Value>(item: Item<Value>): Item<Value | TtlvError> {
  return {
    tag: item.tag,
    type: item.type,
    decode(reader) {
      const mark = reader.mark
      try {
        return item.decode(reader)
      } catch (error) {
        if (!(error instanceof TtlvError) || error.code === 'limit-exceeded') throw error
        reader.reset(mark)
        reader.skip()
        return error
      }
    },
    encode(value, sink) {
      if (value instanceof TtlvError) throw new TtlvError('wrong-value', 'could not be decoded', { cause: value })
      item.encode(value, sink)
    },
  }
}
