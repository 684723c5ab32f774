import { attribute, type CreateRequest, type GetResponse } from '@cryptvisor/kmip'
import type { KmipClient } from '@cryptvisor/kmip-client'

/** Asks for an AES-256 key. */
export const createRequest: CreateRequest = {
  objectType: 'SymmetricKey',
  templateAttribute: {
    name: [],
    attribute: [
      attribute('Cryptographic Algorithm', 'AES'),
      attribute('Cryptographic Length', 256),
      attribute('Cryptographic Usage Mask', 12),
    ],
  },
}

/** The bytes of a raw key: for a test, which looks for them where they must not be. */
export async function keyBytes(client: KmipClient, uniqueIdentifier: string): Promise<Uint8Array> {
  return bytesOf(await client.get({ uniqueIdentifier }))
}

function bytesOf(answer: GetResponse): Uint8Array {
  if (answer.objectType !== 'SymmetricKey') throw new TypeError(`${answer.objectType} is no symmetric key`)
  const { keyBlock } = answer.object
  if (keyBlock.keyFormatType !== 'Raw' || keyBlock.keyValue === undefined || !('keyMaterial' in keyBlock.keyValue)) {
    throw new TypeError('the key is not raw')
  }
  using material = keyBlock.keyValue.keyMaterial
  return material.expose((bytes) => Uint8Array.from(bytes))
}
