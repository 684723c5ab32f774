import {
  type Attribute,
  type AttributeValue,
  type StandardAttributeName,
  type StandardAttributeValue,
  type State,
  standardAttributes,
} from '@cryptvisor/kmip'

/** The object types that this server keeps. */
export const storedObjectTypes = ['SymmetricKey', 'SecretData', 'OpaqueObject'] as const
export type StoredObjectType = (typeof storedObjectTypes)[number]

/** In which form the value came, so that it can be given back the same way. Numbers are vendors' own. */
export interface ValueFormat {
  /** None for an Opaque Object, which has no Key Block. */
  readonly keyFormatType: 'Raw' | 'Opaque' | null
  readonly secretDataType: string | number | null
  readonly opaqueDataType: number | null
}

/** An attribute with its index, which is always there. */
export interface StoredAttribute extends Attribute {
  readonly attributeIndex: number
}

/**
 * A managed object without its value: frozen, changes make a new one. `attributes` has what the client and the server
 * set, in the order in which it was set; what can be computed (Unique Identifier, Object Type, Digest) is not in it.
 */
export interface StoredObject {
  readonly id: string
  readonly owner: string
  readonly objectType: StoredObjectType
  readonly format: ValueFormat
  readonly attributes: readonly StoredAttribute[]
  /** For each attribute with instances the index that a new one gets: an index does not come twice while others stay. */
  readonly nextIndexes: Readonly<Record<string, number>>
}

/** The value of an attribute that has one instance; `undefined` when it has none. */
export function singleValue<Name extends StandardAttributeName>(
  object: StoredObject,
  name: Name,
): StandardAttributeValue<Name> | undefined {
  const found = object.attributes.find((attribute) => attribute.attributeName === name)
  // The attributes were made by `attribute` or decoded by the name's declaration.
  return found?.attributeValue as StandardAttributeValue<Name> | undefined
}

/** Sets an attribute that has at most one instance. */
export function withValue<Name extends StandardAttributeName>(
  object: StoredObject,
  name: Name,
  value: StandardAttributeValue<Name>,
): StoredObject {
  const changed: StoredAttribute = {
    attributeName: name,
    attributeIndex: 0,
    // The type of a name's value is one of the union.
    attributeValue: value as AttributeValue,
  }
  const others = object.attributes.filter((attribute) => attribute.attributeName !== name)
  return { ...object, attributes: [...others, changed], nextIndexes: { ...object.nextIndexes, [name]: 1 } }
}

/** The state; `null` for object types that have none. */
export function stateOf(object: StoredObject): State | null {
  return singleValue(object, 'State') ?? null
}

/** Whether the key material is gone for good. */
export function isDestroyed(object: StoredObject): boolean {
  return singleValue(object, 'Destroy Date') !== undefined
}

/** Whether an attribute exists for the object's type (KMIP 1.4, section 3: "Applies to Object Types"). */
export function appliesTo(name: StandardAttributeName, objectType: StoredObjectType): boolean {
  return standardAttributes[name].objectTypes.includes(objectType)
}
