import { attribute, v1_3 } from '@cryptvisor/kmip'
import { type KmipClient, KmipClientError } from '@cryptvisor/kmip-client'
import { compareVersions } from '@cryptvisor/ttlv'
import { describeKey } from './key-description.ts'
import { type KeyDescription, listLimitMax } from './key-provider.ts'
import { isMissing } from './translation.ts'

/** How many keys are described in one message. */
const batchSize = 25

/** The symmetric keys that the client may see. Throws a RangeError for an unreasonable range, else KmipClientErrors. */
export async function listSymmetricKeys(client: KmipClient, offset: number, limit: number): Promise<KeyDescription[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > listLimitMax) {
    throw new RangeError(`limit must be a whole number from 1 to ${listLimitMax}`)
  }
  if (!Number.isInteger(offset) || offset < 0 || offset > 2 ** 31 - 1 - listLimitMax) {
    throw new RangeError('offset must be a whole number from 0')
  }
  const ids = await locate(client, offset, limit)
  const descriptions: KeyDescription[] = []
  for (let index = 0; index < ids.length; index += batchSize) {
    descriptions.push(...(await describeAll(client, ids.slice(index, index + batchSize))))
  }
  return descriptions
}

/** Before 1.3 a server cannot be told where to begin, so the beginning is asked for too. */
async function locate(client: KmipClient, offset: number, limit: number): Promise<readonly string[]> {
  const filter = { attribute: [attribute('Object Type', 'SymmetricKey')] }
  if (offset > 0 && compareVersions(await client.negotiate(), v1_3) >= 0) {
    return (await client.locate({ ...filter, maximumItems: limit, offsetItems: offset })).uniqueIdentifier.slice(
      0,
      limit,
    )
  }
  const { uniqueIdentifier } = await client.locate({ ...filter, maximumItems: offset + limit })
  return uniqueIdentifier.slice(offset, offset + limit)
}

/** Keys that are gone meanwhile are left out. A server that takes no batch is asked key by key. */
async function describeAll(client: KmipClient, ids: readonly string[]): Promise<KeyDescription[]> {
  const results = await inOneMessage(client, ids)
  const descriptions: KeyDescription[] = []
  for (const [index, keyId] of ids.entries()) {
    const result = results?.[index]
    const attributes =
      result === undefined || (result instanceof KmipClientError && result.refusal === null)
        ? await attributesOf(client, keyId)
        : unlessMissing(result)
    if (attributes !== null) descriptions.push(describeKey(keyId, attributes.attribute))
  }
  return descriptions
}

async function inOneMessage(client: KmipClient, ids: readonly string[]) {
  const requests = ids.map((keyId) => request(keyId))
  try {
    return await client.request(requests, ids.length > 1 ? { batchErrorContinuationOption: 'Continue' } : {})
  } catch (error) {
    if (error instanceof KmipClientError && error.refusal?.isWholeMessage === true) return null
    throw error
  }
}

async function attributesOf(client: KmipClient, keyId: string) {
  const [result] = await client.request([request(keyId)])
  return unlessMissing(result)
}

function request(keyId: string) {
  return { operation: 'GetAttributes', payload: { uniqueIdentifier: keyId, attributeName: [] } } as const
}

function unlessMissing<Result>(result: Result | KmipClientError): Result | null {
  if (!(result instanceof KmipClientError)) return result
  if (isMissing(result)) return null
  throw result
}
