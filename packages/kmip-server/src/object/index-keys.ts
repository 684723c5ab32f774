import { createHash } from 'node:crypto'
import { Attribute, isCustomName, v1_4 } from '@cryptvisor/kmip'
import { encode, TtlvError } from '@cryptvisor/ttlv'
import { isDestroyed, type StoredObject } from './stored-object.ts'

/**
 * The attributes that are found by an index: those that tell a client's objects apart and match when they are equal.
 * Others are compared one by one among what the index gives.
 */
const indexed: ReadonlySet<string> = new Set([
  'Name',
  'Object Group',
  'Application Specific Information',
  'Contact Information',
  'Link',
  'Alternative Name',
  'PKCS#12 Friendly Name',
  'Description',
  'Comment',
])

/**
 * What an index can find an object by: the same text for equal attributes of one owner, whatever their index. A hash,
 * since values may be long and databases sort text differently. None for a destroyed object, which nothing finds.
 */
export function indexKeys(object: StoredObject): ReadonlySet<string> {
  const keys = new Set<string>()
  if (isDestroyed(object)) return keys
  for (const attribute of object.attributes) {
    const key = indexKeyOf(object.owner, attribute)
    if (key !== null) keys.add(key)
  }
  return keys
}

/** The key of one attribute; `null` when no index serves it. */
export function indexKeyOf(owner: string, { attributeName, attributeValue }: Attribute): string | null {
  if (!isCustomName(attributeName) && !indexed.has(attributeName)) return null
  // A field that was left out matches whatever stands there.
  if (attributeName === 'Application Specific Information' && !('applicationData' in Object(attributeValue)))
    return null
  const encoded = encodedWhole({ attributeName, attributeValue })
  return encoded === null
    ? null
    : createHash('sha256').update(JSON.stringify(owner)).update(encoded).digest('base64url')
}

/** `null` for a structure without all the fields that it must have, as Locate may want one. */
function encodedWhole(attribute: Attribute): Uint8Array | null {
  try {
    return encode(Attribute, attribute, { version: v1_4 })
  } catch (error) {
    if (error instanceof TtlvError && error.code === 'missing-field') return null
    throw error
  }
}
