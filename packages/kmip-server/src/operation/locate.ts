import {
  type Attribute,
  KmipError,
  type LocateRequest,
  type LocateResponse,
  StorageStatusMask,
  v1_4,
} from '@cryptvisor/kmip'
import { compareVersions } from '@cryptvisor/ttlv'
import { declarationIn } from '../attribute/attribute-rules.ts'
import { matches } from '../attribute/match.ts'
import { indexKeyOf } from '../object/index-keys.ts'
import { advance } from '../object/lifecycle.ts'
import { type StoredObject, singleValue } from '../object/stored-object.ts'
import { viewOf } from './get-attributes.ts'
import type { Handler, OperationContext } from './operation-context.ts'

/** How many attributes one request may have to find objects by. */
export const locateAttributesMax = 100

/** KMIP 1.4, 4.9: the client's objects that have all of these attributes; none is no error. */
export const locate: Handler<LocateRequest, LocateResponse> = async (request, context) => {
  const wanted = request.attribute
  if (wanted.length > locateAttributesMax) {
    throw new KmipError('InvalidField', `Attribute: at most ${locateAttributesMax} are taken`)
  }
  for (const each of wanted) declarationIn(each.attributeName, context.version)
  const offset = whole('Offset Items', request.offsetItems) ?? 0
  const maximum = whole('Maximum Items', request.maximumItems) ?? Number.POSITIVE_INFINITY
  const isOnLine =
    ((request.storageStatusMask ?? StorageStatusMask.OnLineStorage) & StorageStatusMask.OnLineStorage) > 0
  const found: string[] = []
  let locatedItems = 0
  for await (const object of isOnLine ? candidates(wanted, context) : []) {
    if (request.objectGroupMember === 'GroupMemberFresh' && singleValue(object, 'Fresh') !== true) continue
    if (!(await isMatch(object, wanted, context))) continue
    locatedItems++
    if (locatedItems > offset && found.length < maximum) found.push(object.id)
  }
  const only = found.length === 1 ? (found[0] ?? null) : null
  context.message.placeholder = only
  context.objectId = only
  return {
    // Who pages wants to know how many there are; others are not told what they did not ask for.
    ...(request.offsetItems === undefined ? {} : { locatedItems }),
    uniqueIdentifier: found,
  }
}

async function* candidates(wanted: readonly Attribute[], context: OperationContext): AsyncIterable<StoredObject> {
  const keys = new Set<string>()
  for (const each of wanted) {
    const key = indexKeyOf(context.owner, each)
    if (key !== null) keys.add(key)
  }
  // The published cases want the newest first from 1.4 on, and the oldest first before.
  const order = compareVersions(context.version, v1_4) >= 0 ? 'newest-first' : 'oldest-first'
  for await (const object of context.transaction.locate(context.owner, [...keys], order)) {
    yield advance(object, context.now)
  }
}

async function isMatch(
  object: StoredObject,
  wanted: readonly Attribute[],
  context: OperationContext,
): Promise<boolean> {
  const isByDigest = wanted.some((each) => each.attributeName === 'Digest')
  return matches(await viewOf(object, isByDigest, context), wanted)
}

function whole(name: string, count: number | undefined): number | undefined {
  if (count === undefined || count >= 0) return count
  throw new KmipError('InvalidField', `${name}: must not be negative`)
}
