import {
  type Attribute,
  type AttributeDeclaration,
  formatVersion,
  isCustomName,
  KmipError,
  standardAttribute,
} from '@cryptvisor/kmip'
import { type AnyValue, compareVersions, isInVersion, type Version } from '@cryptvisor/ttlv'
import type { StoredObjectType } from '../object/stored-object.ts'

/** How many characters the name of a custom attribute may have. */
export const attributeNameLengthMax = 255

/** KMIP 2.0, 9.1.1.2: the one type that came later; older clients cannot read it. */
const dateTimeExtendedSince: Version = { major: 2, minor: 0 }

/**
 * The declaration of a standard attribute, `null` for a custom one. Throws Invalid Field for a name that the request's
 * version does not know.
 */
export function declarationIn(name: string, version: Version): AttributeDeclaration | null {
  if (isCustomName(name)) return null
  const declaration = standardAttribute(name)
  if (declaration !== null && isInVersion(declaration, version)) return declaration
  throw new KmipError(
    'InvalidField',
    `${shown(name)} is no attribute of KMIP ${formatVersion(version)}; names of your own begin with x-`,
  )
}

/** Whether an attribute of that name may be in an answer of that version. */
export function isShownIn(name: string, version: Version): boolean {
  const declaration = standardAttribute(name)
  return declaration === null ? isCustomName(name) : isInVersion(declaration, version)
}

/** Whether an attribute may have several instances (KMIP 1.4, section 3). */
export function isMultiple(name: string): boolean {
  return standardAttribute(name)?.isMultiple ?? true
}

/** Throws Invalid Field for an attribute that objects of this type do not have. */
export function checkApplies(name: string, objectType: StoredObjectType): void {
  const declaration = standardAttribute(name)
  if (declaration !== null && !declaration.objectTypes.includes(objectType)) {
    throw new KmipError('InvalidField', `${name} is no attribute of a ${objectType}`)
  }
}

/**
 * KMIP 1.4, 3.39: a value of any type that the version has, structures without structures in them. Throws Invalid Field.
 */
export function checkCustom({ attributeName, attributeValue }: Attribute, version: Version): void {
  if (!isCustomName(attributeName)) return
  if (attributeName.length > attributeNameLengthMax || attributeName.length < 3) {
    throw new KmipError('InvalidField', `the name of a custom attribute has 3 to ${attributeNameLengthMax} characters`)
  }
  const value: unknown = attributeValue
  if (isStructure(value) && value.value.some((field) => isStructure(field))) {
    throw new KmipError('InvalidField', `${shown(attributeName)}: a custom attribute has no structures in a structure`)
  }
  const values = isStructure(value) ? value.value : [value]
  if (
    compareVersions(version, dateTimeExtendedSince) < 0 &&
    values.some((each) => isOfType(each, 'DateTimeExtended'))
  ) {
    const shownVersion = formatVersion(version)
    throw new KmipError(
      'InvalidField',
      `${shown(attributeName)}: Date-Time Extended is no type of KMIP ${shownVersion}`,
    )
  }
}

/** A name from outside, short enough for an error text. */
export function shown(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}...` : name)
}

function isStructure(value: unknown): value is { type: 'Structure'; value: readonly unknown[] } {
  return isOfType(value, 'Structure')
}

function isOfType(value: unknown, type: AnyValue['type']): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === type
}
