import { type GetAttributesRequest, type GetAttributesResponse, KmipError, v1_1 } from '@cryptvisor/kmip'
import { compareVersions, type Version } from '@cryptvisor/ttlv'
import { allAttributes, attributesIn } from '../attribute/attribute-view.ts'
import { isDestroyed, type StoredObject } from '../object/stored-object.ts'
import type { Handler, OperationContext } from './operation-context.ts'

/** How many names one request may have; an object has fewer attributes than that. */
export const attributeNamesMax = 1000

/** KMIP 1.4, 4.12: the attributes that are asked for and there, a name that is not there being no error. */
export const getAttributes: Handler<GetAttributesRequest, GetAttributesResponse> = async (request, context) => {
  const names = new Set(request.attributeName)
  if (names.size !== request.attributeName.length) {
    throw new KmipError('InvalidMessage', 'Attribute Name: the same name stands there twice')
  }
  if (names.size > attributeNamesMax) {
    throw new KmipError('InvalidMessage', `Attribute Name: at most ${attributeNamesMax} names are taken`)
  }
  const object = await context.find(request.uniqueIdentifier)
  const isWanted = (name: string) => (names.size === 0 ? !isOnlyByName(name, context.version) : names.has(name))
  const attributes = await viewOf(object, isWanted('Digest'), context)
  return {
    uniqueIdentifier: object.id,
    attribute: attributesIn(
      attributes.filter((each) => isWanted(each.attributeName)),
      context.version,
    ),
  }
}

/**
 * What the server sets by itself and PyKMIP's client (0.10) cannot read: it stops at the first such attribute, so whoever
 * asks it for all attributes would get none. They are there for whoever names them, and GetAttributeList lists them.
 */
const onlyByName: ReadonlySet<string> = new Set([
  'Always Sensitive',
  'Extractable',
  'Key Value Present',
  'Never Extractable',
  'Original Creation Date',
  'Random Number Generator',
  'Revocation Reason',
])

/** The Digest of KMIP 1.0 has no Key Format Type, which PyKMIP reads all the same. */
function isOnlyByName(name: string, version: Version): boolean {
  return onlyByName.has(name) || (name === 'Digest' && compareVersions(version, v1_1) < 0)
}

/** All attributes of an object; the Digest, which needs the value, only when it is wanted and the value is there. */
export async function viewOf(object: StoredObject, withDigest: boolean, context: OperationContext) {
  if (!withDigest || isDestroyed(object)) return allAttributes(object, null)
  using value = await context.transaction.loadValue(object)
  return allAttributes(object, value)
}
