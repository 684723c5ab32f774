import {
  type Attribute,
  type AttributeValue,
  attribute,
  formatVersion,
  KmipError,
  type StandardAttributeName,
} from '@cryptvisor/kmip'
import type { Version } from '@cryptvisor/ttlv'
import { advance } from '../object/lifecycle.ts'
import {
  appliesTo,
  type StoredAttribute,
  type StoredObject,
  type StoredObjectType,
  singleValue,
  type ValueFormat,
  withValue,
} from '../object/stored-object.ts'
import { randomNumberGenerator } from '../random-number-generator.ts'
import { checkBounds, checkCount, checkDates } from './attribute-bounds.ts'
import { checkApplies, checkCustom, declarationIn, isMultiple, shown } from './attribute-rules.ts'

/** What is known of an object that is to be made. */
export interface NewObject {
  readonly id: string
  readonly owner: string
  readonly objectType: StoredObjectType
  readonly format: ValueFormat
  /** As the client gave them, in the request's version. */
  readonly attributes: readonly Attribute[]
  readonly version: Version
  readonly now: Date
  /** Whether the server made the value itself. */
  readonly isGenerated: boolean
}

/**
 * Makes a managed object: the client's attributes, checked, and those that the server sets (KMIP 1.4, section 3).
 * Throws Invalid Field for an attribute that is unknown, that clients do not set, that is there twice, or does not fit.
 */
export function newObject(given: NewObject): StoredObject {
  let object: StoredObject = {
    id: given.id,
    owner: given.owner,
    objectType: given.objectType,
    format: given.format,
    attributes: [],
    nextIndexes: {},
  }
  // Before the work, which each attribute makes longer for the next.
  checkCount(given.attributes)
  for (const each of given.attributes) object = withGiven(object, each, given.version)
  for (const each of serverAttributes(object, given.now, given.isGenerated)) {
    if (object.nextIndexes[each.attributeName] === undefined) object = append(object, each)
  }
  checkDates(object)
  checkBounds(object)
  return advance(object, given.now)
}

/** Adds an instance with the next index. */
export function append(object: StoredObject, { attributeName, attributeValue }: Attribute): StoredObject {
  const attributeIndex = object.nextIndexes[attributeName] ?? 0
  const added: StoredAttribute = { attributeName, attributeIndex, attributeValue }
  return {
    ...object,
    attributes: [...object.attributes, added],
    nextIndexes: { ...object.nextIndexes, [attributeName]: attributeIndex + 1 },
  }
}

/** A Usage Limits value with the count that is left, which the server keeps (KMIP 1.4, 3.21). */
export function withServerFields({ attributeName, attributeValue }: Attribute): AttributeValue {
  if (attributeName !== 'Usage Limits') return attributeValue
  // The declaration of the name says what its value is.
  const limits = attributeValue as { usageLimitsTotal: bigint; usageLimitsUnit: 'Byte' | 'Object' }
  return { ...limits, usageLimitsCount: limits.usageLimitsTotal }
}

function withGiven(object: StoredObject, each: Attribute, version: Version): StoredObject {
  const name = each.attributeName
  const declaration = declarationIn(name, version)
  if (name.startsWith('y-') || declaration?.initiallySetBy === 'server') {
    throw new KmipError('InvalidField', `${shown(name)} is set by the server, not by the client`)
  }
  checkApplies(name, object.objectType)
  checkCustom(each, version)
  const count = object.nextIndexes[name] ?? 0
  if (count > 0 && !isMultiple(name)) throw new KmipError('InvalidField', `${shown(name)} has one value, not several`)
  if (each.attributeIndex !== undefined && each.attributeIndex !== count) {
    throw new KmipError(
      'InvalidField',
      `${shown(name)}: the index of a new instance is ${count} here, in KMIP ${formatVersion(version)} better left out`,
    )
  }
  return append(object, { attributeName: name, attributeValue: withServerFields(each) })
}

function serverAttributes(object: StoredObject, now: Date, isGenerated: boolean): Attribute[] {
  const isSensitive = singleValue(object, 'Sensitive') ?? false
  const isExtractable = singleValue(object, 'Extractable') ?? true
  const all = [
    attribute('State', 'PreActive'),
    attribute('Initial Date', now),
    attribute('Last Change Date', now),
    attribute('Fresh', true),
    attribute('Key Value Present', true),
    attribute('Original Creation Date', now),
    attribute('Sensitive', isSensitive),
    attribute('Always Sensitive', isSensitive),
    attribute('Extractable', isExtractable),
    attribute('Never Extractable', !isExtractable),
    ...(isGenerated ? [attribute('Random Number Generator', randomNumberGenerator)] : []),
  ]
  // The names above are standard ones.
  return all.filter((each) => appliesTo(each.attributeName as StandardAttributeName, object.objectType))
}

/** Sets what follows from Sensitive and Extractable having been changed (KMIP 1.4, 3.48 to 3.51). */
export function withConsequences(object: StoredObject, name: string): StoredObject {
  if (name === 'Sensitive' && singleValue(object, 'Sensitive') === false)
    return withValue(object, 'Always Sensitive', false)
  if (name === 'Extractable' && singleValue(object, 'Extractable') === true) {
    return withValue(object, 'Never Extractable', false)
  }
  return object
}
