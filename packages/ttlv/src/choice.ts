import type { Item, Of } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/**
 * A structure whose first field says which fields follow: a batch item by its operation, an attribute by its name.
 * `select` gives the whole structure for a value of that field, `undefined` when it was left out; where it gives
 * `null`, the value is refused. All variants have the tag of the choice and begin with `first`, named `name`.
 */
export function choice<const Name extends string, Selector, Variant extends Item<object>>(
  tag: number,
  name: Name,
  first: Item<Selector>,
  select: (value: Selector | undefined) => Variant | null,
): Item<Of<Variant>> {
  const variantOf = (value: Selector | undefined): Variant => {
    const variant = select(value)
    if (variant !== null) return variant
    throw value === undefined
      ? new TtlvError('missing-field', 'is missing: it says what follows').within(name)
      : new TtlvError('wrong-value', 'has a value that is not provided for here').within(name)
  }
  return {
    tag,
    type: 'Structure',
    decode(reader) {
      const selector = reader.lookAhead(tag, first)
      // A variant decodes to its own type, of which `Of<Variant>` is the union.
      return variantOf(selector).decode(reader) as Of<Variant>
    },
    encode(value, sink) {
      if (typeof value !== 'object' || value === null) {
        throw new TtlvError('wrong-value', `must be an object with the field ${name}`)
      }
      // All variants begin with the field `name`.
      const selector = (value as Readonly<Record<string, unknown>>)[name] as Selector | undefined
      variantOf(selector).encode(value, sink)
    },
  }
}
