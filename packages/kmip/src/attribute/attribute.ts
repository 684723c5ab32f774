import {
  type AnyValue,
  anyValue,
  choice,
  type Item,
  integer,
  optional,
  partial,
  structure,
  text,
} from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'
import { type StandardAttributeName, type StandardAttributeValue, standardAttributes } from './standard-attributes.ts'

/** The value of a standard attribute in its own type; that of any other says its type itself. */
export type AttributeValue =
  | { [Name in StandardAttributeName]: StandardAttributeValue<Name> }[StandardAttributeName]
  | AnyValue

/**
 * KMIP 1.4, 2.1.1: an attribute with its name. An index that was left out means 0. Make one with `attribute` or
 * `customAttribute`, read one with `attributeValue`: they know which value belongs to which name.
 */
export interface Attribute {
  readonly attributeName: string
  readonly attributeIndex?: number
  readonly attributeValue: AttributeValue
}

const variants = new Map(
  Object.entries(standardAttributes).map(([name, declaration]) => [
    name,
    variant(declaration.value(Tag.AttributeValue)),
  ]),
)
const selfDescribing = variant(anyValue(Tag.AttributeValue))

/** An attribute in a message of KMIP 1.x. The value of a name that is no standard attribute's describes itself. */
export const Attribute: Item<Attribute> = choice(Tag.Attribute, 'attributeName', text(Tag.AttributeName), (name) =>
  name === undefined ? null : (variants.get(name) ?? selfDescribing),
)

const wantedVariants = new Map(
  Object.entries(standardAttributes).map(([name, declaration]) => [
    name,
    // TypeScript sees a union of declarations; each is made partial by itself.
    variant(partial<unknown>(declaration.value(Tag.AttributeValue))),
  ]),
)

/**
 * KMIP 1.4, 4.9: what Locate wants an attribute to be. A structure may have some of its fields only, which is all that
 * must match; a reader compares fields one by one and takes none for given.
 */
export const WantedAttribute: Item<Attribute> = choice(
  Tag.Attribute,
  'attributeName',
  text(Tag.AttributeName),
  (name) => (name === undefined ? null : (wantedVariants.get(name) ?? selfDescribing)),
)

function variant(value: Item<unknown>): Item<Attribute> {
  return structure(Tag.Attribute, {
    attributeName: text(Tag.AttributeName),
    attributeIndex: optional(integer(Tag.AttributeIndex)),
    // The standard attributes' values are those of which `AttributeValue` is the union.
    attributeValue: value as Item<AttributeValue>,
  })
}

/** Makes a standard attribute. */
export function attribute<Name extends StandardAttributeName>(
  attributeName: Name,
  attributeValue: StandardAttributeValue<Name>,
  attributeIndex?: number,
): Attribute {
  return {
    attributeName,
    ...(attributeIndex === undefined ? {} : { attributeIndex }),
    // The type of a name's value is one of the union.
    attributeValue: attributeValue as AttributeValue,
  }
}

/** Makes a custom attribute (KMIP 1.4, 3.39): `x-` is a client's, `y-` a server's. A string becomes a Text String. */
export function customAttribute(
  attributeName: `x-${string}` | `y-${string}`,
  value: string | AnyValue,
  attributeIndex?: number,
): Attribute {
  return {
    attributeName,
    ...(attributeIndex === undefined ? {} : { attributeIndex }),
    attributeValue: typeof value === 'string' ? { type: 'TextString', value } : value,
  }
}

/** The value of the first instance of a standard attribute; `undefined` when it is not in the list. */
export function attributeValue<Name extends StandardAttributeName>(
  attributes: readonly Attribute[],
  name: Name,
): StandardAttributeValue<Name> | undefined {
  return attributeValues(attributes, name)[0]
}

/** The values of all instances of a standard attribute. */
export function attributeValues<Name extends StandardAttributeName>(
  attributes: readonly Attribute[],
  name: Name,
): StandardAttributeValue<Name>[] {
  return (
    attributes
      .filter((attribute) => attribute.attributeName === name)
      // Encoder and decoder hold the value to the declaration of the name.
      .map((attribute) => attribute.attributeValue as StandardAttributeValue<Name>)
  )
}

/** Whether a name is that of a custom attribute (KMIP 1.4, 3.39). */
export function isCustomName(name: string): name is `x-${string}` | `y-${string}` {
  return name.startsWith('x-') || name.startsWith('y-')
}
