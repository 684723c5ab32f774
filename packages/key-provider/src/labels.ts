import { type Attribute, customAttribute, isCustomName } from '@cryptvisor/kmip'
import { type BatchRequest, type KmipClient, KmipClientError } from '@cryptvisor/kmip-client'
import { isMissing } from './translation.ts'

/** How many labels a key gets in one call. */
export const labelsMax = 30

/**
 * Sets `x-` attributes to these texts, all in one message and without an Attribute Index, as vCenter does. What has its
 * value already is left alone, and what has another one is changed. Throws a KmipClientError.
 */
export async function setLabels(
  client: KmipClient,
  keyId: string,
  labels: ReadonlyMap<`x-${string}`, string>,
): Promise<void> {
  const present = await presentLabels(client, keyId, [...labels.keys()])
  const requests = [...labels].flatMap(([name, value]) => requestFor(keyId, name, value, present))
  if (requests.length === 0) return
  for (const result of await client.request(requests)) if (result instanceof KmipClientError) throw result
}

/** Which of these attributes the key has. A server that does not know them at all has none. */
async function presentLabels(
  client: KmipClient,
  keyId: string,
  names: readonly string[],
): Promise<readonly Attribute[]> {
  try {
    return (await client.getAttributes({ uniqueIdentifier: keyId, attributeName: names })).attribute
  } catch (error) {
    const isRefusal = error instanceof KmipClientError && error.code === 'operation-failed' && !isMissing(error)
    if (isRefusal) return []
    throw error
  }
}

function requestFor(keyId: string, name: `x-${string}`, value: string, present: readonly Attribute[]): BatchRequest[] {
  const same = present.filter(({ attributeName }) => attributeName === name)
  if (same.some(({ attributeValue }) => isText(attributeValue, value))) return []
  const attribute = customAttribute(name, value)
  const operation = same.length === 0 ? 'AddAttribute' : 'ModifyAttribute'
  return [{ operation, payload: { uniqueIdentifier: keyId, attribute } }]
}

function isText(attributeValue: Attribute['attributeValue'], text: string): boolean {
  return (
    typeof attributeValue === 'object' &&
    'type' in attributeValue &&
    attributeValue.type === 'TextString' &&
    attributeValue.value === text
  )
}

/** The labels by their names. Throws a RangeError when one is no `x-` attribute, or there are too many. */
export function checkLabels(labels: Readonly<Record<string, string>>): ReadonlyMap<`x-${string}`, string> {
  const checked = new Map<`x-${string}`, string>()
  for (const [name, value] of Object.entries(labels)) {
    if (!isCustomName(name) || name.startsWith('y-')) throw new RangeError(`a label’s name begins with x-, not ${name}`)
    // It begins with x-, as was just checked.
    checked.set(name as `x-${string}`, value)
  }
  if (checked.size > labelsMax) throw new RangeError(`a key gets at most ${labelsMax} labels at once`)
  return checked
}
