import { type AnyField, type AnyValue, formatTag, type ItemType } from '@cryptvisor/ttlv'
import { tagName } from '../tag.ts'
import type { Attribute } from './attribute.ts'
import { standardAttribute } from './standard-attributes.ts'

/** Something that JSON can hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** An attribute for people and for JSON. */
export interface AttributeDescription {
  readonly name: string
  readonly index: number
  /** The type of the value, as TTLV has it. */
  readonly type: ItemType
  /**
   * Enumerations by name where there is one; dates as ISO 8601; byte strings in hexadecimal; integers of 64 bits and
   * more as decimal text; a standard structure as an object, one of a custom attribute as a list of its fields.
   */
  readonly value: JsonValue
}

/** Describes an attribute. */
export function describeAttribute(attribute: Attribute): AttributeDescription {
  const { attributeName, attributeIndex, attributeValue } = attribute
  const declaration = standardAttribute(attributeName)
  if (declaration === null) {
    // A value whose name is no standard attribute's describes itself.
    const { type, value } = attributeValue as AnyValue
    return { name: attributeName, index: attributeIndex ?? 0, type, value: jsonOf(value) }
  }
  return {
    name: attributeName,
    index: attributeIndex ?? 0,
    // Every standard attribute's declaration has one type.
    type: declaration.value(declaration.tag).type ?? 'Structure',
    value: jsonOf(attributeValue),
  }
}

function jsonOf(value: unknown): JsonValue {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map((element) => (isField(element) ? jsonOfField(element) : jsonOf(element)))
  if (typeof value !== 'object' || value === null) return null
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, part]) => part !== undefined)
      .map(([name, part]) => [name, jsonOf(part)]),
  )
}

/** Whether an element of a list is a field of a structure that describes itself. */
function isField(value: unknown): value is AnyField {
  return typeof value === 'object' && value !== null && 'tag' in value && 'type' in value
}

function jsonOfField({ tag, type, value }: AnyField): JsonValue {
  return { tag: tagName(tag) ?? formatTag(tag), type, value: jsonOf(value) }
}
