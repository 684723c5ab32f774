import { type Attribute, KmipError, standardAttribute } from '@cryptvisor/kmip'

/** Values of an attribute that Locate compares by bits and not as a whole. */
const masks: ReadonlySet<string> = new Set(['Cryptographic Usage Mask'])

/** How many values of one date may be given: two are the ends of a range. */
const datesMax = 2

/**
 * KMIP 1.4, 4.9: whether an object with `attributes` is among those that `wanted` describes: each must match an
 * instance of its name, whatever its index. Structures match in the fields that are given, masks when all of their bits
 * are set, a date when it is the same, two dates of one name as a range. Throws Invalid Field for a third date.
 */
export function matches(attributes: readonly Attribute[], wanted: readonly Attribute[]): boolean {
  const dates = new Map<string, Date[]>()
  for (const { attributeName, attributeValue } of wanted) {
    if (attributeValue instanceof Date && standardAttribute(attributeName) !== null) {
      dates.set(attributeName, [...(dates.get(attributeName) ?? []), attributeValue])
    } else if (!someMatches(attributes, attributeName, (value) => isMatch(attributeName, value, attributeValue))) {
      return false
    }
  }
  for (const [name, values] of dates) {
    if (values.length > datesMax) throw new KmipError('InvalidField', `${name}: one date, or two as a range, not more`)
    const times = values.map((value) => value.getTime())
    const [from, to] = [Math.min(...times), Math.max(...times)]
    if (!someMatches(attributes, name, (value) => value instanceof Date && within(value, from, to))) return false
  }
  return true
}

function someMatches(attributes: readonly Attribute[], name: string, test: (value: unknown) => boolean): boolean {
  return attributes.some((attribute) => attribute.attributeName === name && test(attribute.attributeValue))
}

function isMatch(name: string, value: unknown, wanted: unknown): boolean {
  if (masks.has(name) && typeof value === 'number' && typeof wanted === 'number') return (value & wanted) === wanted
  return isEqual(value, wanted)
}

/** Equality of decoded values; of an object only the fields that `wanted` has count. */
function isEqual(value: unknown, wanted: unknown): boolean {
  if (value === wanted) return true
  if (typeof value !== 'object' || typeof wanted !== 'object' || value === null || wanted === null) return false
  if (value instanceof Date || wanted instanceof Date) return Number(value) === Number(wanted)
  if (value instanceof Uint8Array || wanted instanceof Uint8Array) {
    return value instanceof Uint8Array && wanted instanceof Uint8Array && Buffer.compare(value, wanted) === 0
  }
  if (Array.isArray(value) || Array.isArray(wanted)) {
    if (!Array.isArray(value) || !Array.isArray(wanted) || value.length !== wanted.length) return false
    return value.every((each, index) => isEqual(each, wanted[index]))
  }
  const fields = new Map<string, unknown>(Object.entries(value))
  return Object.entries(wanted).every(([name, part]) => part === undefined || isEqual(fields.get(name), part))
}

function within(value: Date, from: number, to: number): boolean {
  return value.getTime() >= from && value.getTime() <= to
}
