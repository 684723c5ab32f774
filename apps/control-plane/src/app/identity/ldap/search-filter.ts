import { AndFilter, EqualityFilter, ExtensibleFilter, type Filter, FilterParser, OrFilter } from 'ldapts'

/** Of a byte that is no ASCII: the library makes a character of it, where RFC 4515 has a byte. */
const escapedByte = /\\[89a-f][0-9a-f]/i

/** Reads a filter that an administrator wrote (RFC 4515), with other characters than ASCII as they are; `null`: it is none. */
export function parseFilter(text: string): Filter | null {
  // The library takes `a=b` as well, and a list that does not end.
  if (!isOneInParentheses(text) || escapedByte.test(text)) return null
  try {
    return FilterParser.parseString(text)
  } catch {
    return null
  }
}

/** Parentheses within values are escaped (RFC 4515, 3): all that stand there count. */
function isOneInParentheses(text: string): boolean {
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index)
    if (character === '(') depth++
    else if (character === ')') depth--
    if (depth < 1 && index < text.length - 1) return false
  }
  return depth === 0 && text !== ''
}

/** Both. */
export function both(one: Filter, other: Filter): Filter {
  return new AndFilter({ filters: [one, other] })
}

/** One of them; a single one stays as it is. */
export function oneOf(filters: readonly Filter[]): Filter {
  const [only, ...more] = filters
  return only !== undefined && more.length === 0 ? only : new OrFilter({ filters: [...filters] })
}

/**
 * Entries that have exactly this value. It travels as bytes, beside the filter and never as text of it, so that no character
 * of a value is anything but that: what RFC 4515, 3, has escaped needs no escape here.
 */
export function equal(attribute: string, value: Uint8Array | string): Filter {
  return new EqualityFilter({ attribute, value: Buffer.from(value as string) })
}

/** Entries that a rule of the directory finds for this value, which travels as above. */
export function matching(attribute: string, rule: string, value: string): Filter {
  return new ExtensibleFilter({ matchType: attribute, rule, value })
}
