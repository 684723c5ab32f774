import type { Item } from './item.ts'
import { TtlvError } from './ttlv-error.ts'

/** The values of an enumeration by their names. Where two names have one value, the first is what decoding gives. */
export type EnumerationTable = Readonly<Record<string, number>>

/** An Enumeration whose every value we must know: its values are names, and an unknown number is an error. */
export function enumeration<const Table extends EnumerationTable>(
  tag: number,
  table: Table,
): Item<keyof Table & string> {
  const open = openEnumeration(tag, table)
  return {
    tag,
    type: 'Enumeration',
    decode(reader) {
      const value = open.decode(reader)
      if (typeof value === 'number') throw new TtlvError('unknown-enumeration', `has the unknown value ${hex(value)}`)
      return value
    },
    encode(value, sink) {
      if (typeof value === 'number') throw new TtlvError('wrong-value', 'must be a name, not a number')
      open.encode(value, sink)
    },
  }
}

/**
 * An Enumeration in which a value that we do not know, an extension (KMIP 1.4, 9.1.3.2) for instance, does no harm: it
 * stays the number that it is.
 */
export function openEnumeration<const Table extends EnumerationTable>(
  tag: number,
  table: Table,
): Item<(keyof Table & string) | number> {
  const names = new Map<number, keyof Table & string>()
  for (const [name, value] of Object.entries(table)) if (!names.has(value)) names.set(value, name)
  return {
    tag,
    type: 'Enumeration',
    decode(reader) {
      const value = reader.enumeration(tag)
      return names.get(value) ?? value
    },
    encode(value, sink) {
      if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32 && !names.has(value)) {
        sink.enumeration(tag, value, null)
      } else if (typeof value === 'string' && Object.hasOwn(table, value)) {
        // `hasOwn` has just found it.
        sink.enumeration(tag, table[value] as number, value)
      } else {
        throw new TtlvError('wrong-value', 'must be a name of the enumeration, or a number that it does not name')
      }
    },
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(8, '0')}`
}
