import { createHash } from 'node:crypto'
import { Attribute, attribute, isCustomName, standardAttributes, v1_1, v1_4 } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import { compareVersions, encode, TtlvError, type Version } from '@cryptvisor/ttlv'
import type { StoredObject } from '../object/stored-object.ts'
import { isShownIn } from './attribute-rules.ts'

const order = new Map(Object.keys(standardAttributes).map((name, index) => [name, index]))

/**
 * All attributes of an object in the standard's order, custom ones last, those that are computed included. The Digest
 * (KMIP 1.4, 3.17) is computed and not stored, since the digest of a password tells the password; it is left out when
 * `value` is `null`.
 */
export function allAttributes(object: StoredObject, value: Secret | null): Attribute[] {
  const computed = [
    attribute('Unique Identifier', object.id),
    attribute('Object Type', object.objectType),
    ...(value === null ? [] : [digestOf(object, value)]),
  ]
  return [...computed, ...object.attributes].toSorted((one, other) => placeOf(one) - placeOf(other))
}

/**
 * The attributes as a request of `version` may see them: none that is newer, no field that is newer; the index is left
 * out where it is 0, which is what leaving it out means.
 */
export function attributesIn(attributes: readonly Attribute[], version: Version): Attribute[] {
  return attributes
    .filter((each) => isShownIn(each.attributeName, version))
    .map(({ attributeIndex = 0, ...each }) =>
      fitted(attributeIndex === 0 ? each : { ...each, attributeIndex }, version),
    )
}

/**
 * The attribute that an operation added, changed or deleted. An index of 0 is left out, but not in KMIP 1.0, which wants
 * one in the answer, and not for a client that gave it and may look for it.
 */
export function changedAttributeIn(changed: Attribute, version: Version, isIndexGiven: boolean): Attribute {
  const { attributeIndex = 0, ...each } = fitted(changed, version)
  const isLeftOut = attributeIndex === 0 && !isIndexGiven && compareVersions(version, v1_1) >= 0
  return isLeftOut ? each : { ...each, attributeIndex }
}

function digestOf(object: StoredObject, value: Secret): Attribute {
  const digestValue = value.expose((bytes) => Uint8Array.from(createHash('sha256').update(bytes).digest()))
  const { keyFormatType } = object.format
  return attribute('Digest', {
    hashingAlgorithm: 'SHA_256',
    digestValue,
    ...(keyFormatType === null ? {} : { keyFormatType }),
  })
}

function placeOf({ attributeName }: Attribute): number {
  return isCustomName(attributeName) ? order.size : (order.get(attributeName) ?? order.size)
}

/** Leaves out the fields of a structure that the version does not have. */
function fitted(given: Attribute, version: Version): Attribute {
  if (compareVersions(version, v1_4) >= 0 || !isFields(given.attributeValue)) return given
  let fields: Readonly<Record<string, unknown>> = given.attributeValue
  for (const _field of Object.keys(fields)) {
    // Only fields that may be missing have a version, so what is left is a value of the same declaration.
    const candidate = { ...given, attributeValue: fields as Attribute['attributeValue'] }
    const newer = fieldNotIn(candidate, version)
    if (newer === null) return candidate
    const { [newer]: _left, ...rest } = fields
    fields = rest
  }
  return given
}

function fieldNotIn(candidate: Attribute, version: Version): string | null {
  try {
    encode(Attribute, candidate, { version })
    return null
  } catch (error) {
    if (!(error instanceof TtlvError) || error.code !== 'not-in-version') throw error
    return error.path.split('.').at(-1) ?? null
  }
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !(value instanceof Date) && !(value instanceof Uint8Array)
}
