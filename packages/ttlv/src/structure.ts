import { type Field, fieldOf, type Presence } from './field.ts'
import type { Item } from './item.ts'
import type { Reader } from './reader.ts'
import type { Sink } from './sink.ts'
import { formatTag } from './tag.ts'
import { TtlvError } from './ttlv-error.ts'
import { isInVersion, type Version } from './version.ts'

/** The fields of a structure, by name, in the order in which they are sent. An item alone must be there. */
export type Fields = Readonly<Record<string, Item<unknown> | Field<unknown>>>

type OptionalKey<F extends Fields> = {
  [Key in keyof F]: F[Key] extends Field<unknown, 'optional'> | Field<unknown, 'ranged'> ? Key : never
}[keyof F]

type FieldValue<Place> =
  Place extends Field<infer Value, infer P>
    ? P extends 'repeated'
      ? readonly Value[]
      : Value
    : Place extends Item<infer Value>
      ? Value
      : never

/** The values of a structure with these fields. */
export type StructureValue<F extends Fields> = {
  readonly [Key in Exclude<keyof F, OptionalKey<F>>]: FieldValue<F[Key]>
} & { readonly [Key in OptionalKey<F>]?: FieldValue<F[Key]> } extends infer Value
  ? { [Key in keyof Value]: Value[Key] }
  : never

interface NamedField extends Field<unknown, Presence> {
  readonly name: string
}

/**
 * Declares a structure: a tag, and fields that come in this order and no other. A field of another version, a second
 * copy and a field that is not declared are errors; the last is passed over in a message of a higher minor version.
 */
export function structure<const F extends Fields>(tag: number, fields: F): Item<StructureValue<F>> {
  const named: readonly NamedField[] = Object.entries(fields).map(([name, place]) => ({ name, ...fieldOf(place) }))
  const declared = new Set(named.map((field) => field.item.tag))
  return {
    tag,
    type: 'Structure',
    fields,
    // What the fields decode to is what `StructureValue` says of them.
    decode: (reader) => reader.structure(tag, () => decodeFields(reader, named, declared)) as StructureValue<F>,
    encode(value, sink) {
      if (typeof value !== 'object' || value === null) {
        throw new TtlvError('wrong-value', `must be an object with the fields ${Object.keys(fields).join(', ')}`)
      }
      // A structure's value is an object with the fields' names.
      sink.structure(tag, () => encodeFields(value as Readonly<Record<string, unknown>>, named, sink))
    },
  }
}

/**
 * The structure with any of its fields left out: what is asked for, not what is there. An item of another type as it is.
 */
export function partial<Value>(item: Item<Value>): Item<Partial<Value>> {
  if (item.fields === undefined) return item as Item<Partial<Value>>
  const places = Object.entries(item.fields).map(([name, place]): [string, Field<unknown>] => {
    const field = fieldOf(place)
    return [name, field.presence === 'repeated' ? field : { ...field, presence: 'optional' }]
  })
  // It has the fields of the structure, each of which may be missing.
  return structure(item.tag, Object.fromEntries(places)) as Item<Partial<Value>>
}

function decodeFields(reader: Reader, fields: readonly NamedField[], declared: ReadonlySet<number>) {
  const value: Record<string, unknown> = {}
  const seen = new Set<number>()
  for (const field of fields) {
    const { name, item, presence } = field
    if (presence === 'repeated') value[name] = []
    if (!isInVersion(field, reader.version)) continue
    skipUnknown(reader, declared)
    if (reader.nextTag === item.tag) {
      seen.add(item.tag)
      value[name] = decodeField(reader, field, declared)
    } else if (mustBeThere(field)) {
      throw absence(reader, field, fields, seen)
    }
  }
  skipUnknown(reader, declared)
  if (reader.nextTag !== null) throw misplaced(reader.nextTag, fields, seen, reader.version)
  return value
}

function decodeField(reader: Reader, field: NamedField, declared: ReadonlySet<number>): unknown {
  try {
    return field.presence === 'repeated' ? decodeRepeated(reader, field, declared) : field.item.decode(reader)
  } catch (error) {
    throw error instanceof TtlvError ? error.within(field.name) : error
  }
}

function decodeRepeated(reader: Reader, field: NamedField, declared: ReadonlySet<number>): unknown[] {
  const values: unknown[] = []
  while (reader.nextTag === field.item.tag) {
    try {
      values.push(field.item.decode(reader))
    } catch (error) {
      throw error instanceof TtlvError ? error.within(values.length) : error
    }
    skipUnknown(reader, declared)
  }
  return values
}

/** In a message of a higher minor version, passes over the fields that it has and we do not know. */
function skipUnknown(reader: Reader, declared: ReadonlySet<number>): void {
  if (reader.unknownFields === 'refuse') return
  for (let tag = reader.nextTag; tag !== null && !declared.has(tag); tag = reader.nextTag) reader.skip()
}

/** Why a field that must be there is not the next. The error names that field, or the one that is in its place. */
function absence(
  reader: Reader,
  field: NamedField,
  fields: readonly NamedField[],
  seen: ReadonlySet<number>,
): TtlvError {
  const intruder = reader.nextTag === null ? null : misplaced(reader.nextTag, fields, seen, reader.version)
  if (intruder !== null && intruder.code !== 'wrong-order') return intruder
  if (reader.comesLater(field.item.tag)) return precedes(field)
  const detail = `is missing: an item with tag ${formatTag(field.item.tag)} must be here`
  return new TtlvError('missing-field', detail).within(field.name)
}

/** What is wrong with an item that is not the one that is expected. */
function misplaced(tag: number, fields: readonly NamedField[], seen: ReadonlySet<number>, version: Version): TtlvError {
  const field = fields.find((field) => field.item.tag === tag)
  if (field === undefined) {
    return new TtlvError('unknown-field', `has an item with tag ${formatTag(tag)}, which does not belong there`)
  }
  if (!isInVersion(field, version)) return outsideOf(version).within(field.name)
  return seen.has(tag) ? new TtlvError('second-copy', 'is there a second time').within(field.name) : precedes(field)
}

function precedes(field: NamedField): TtlvError {
  return new TtlvError('wrong-order', 'comes after a field that it must precede').within(field.name)
}

function encodeFields(value: Readonly<Record<string, unknown>>, fields: readonly NamedField[], sink: Sink): void {
  for (const name of Object.keys(value)) {
    if (value[name] !== undefined && !fields.some((field) => field.name === name)) {
      throw new TtlvError('unknown-field', 'does not belong there').within(name)
    }
  }
  for (const field of fields) {
    const content = value[field.name]
    const inVersion = isInVersion(field, sink.version)
    try {
      if (content === undefined) {
        if (inVersion && mustBeThere(field)) {
          throw new TtlvError('missing-field', 'is missing: it must have a value')
        }
      } else if (field.presence === 'repeated') {
        encodeRepeated(content, field, sink, inVersion)
      } else {
        if (!inVersion) throw outsideOf(sink.version)
        field.item.encode(content, sink)
      }
    } catch (error) {
      throw error instanceof TtlvError ? error.within(field.name) : error
    }
  }
}

function encodeRepeated(content: unknown, field: NamedField, sink: Sink, inVersion: boolean): void {
  if (!Array.isArray(content)) throw new TtlvError('wrong-value', 'must be a list')
  if (content.length > 0 && !inVersion) throw outsideOf(sink.version)
  for (const [index, element] of content.entries()) {
    try {
      field.item.encode(element, sink)
    } catch (error) {
      throw error instanceof TtlvError ? error.within(index) : error
    }
  }
}

function mustBeThere(field: NamedField): boolean {
  return field.presence === 'required' || field.presence === 'ranged'
}

function outsideOf(version: Version): TtlvError {
  return new TtlvError('not-in-version', `does not exist in version ${version.major}.${version.minor}`)
}
