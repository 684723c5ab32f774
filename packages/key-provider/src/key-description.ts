import { type Attribute, attributeValue, describeAttribute } from '@cryptvisor/kmip'
import type { KeyDescription } from './key-provider.ts'

/** What attributes say of a key. */
export function describeKey(keyId: string, attributes: readonly Attribute[]): KeyDescription {
  return {
    keyId,
    state: attributeValue(attributes, 'State') ?? null,
    objectType: attributeValue(attributes, 'Object Type') ?? null,
    algorithm: attributeValue(attributes, 'Cryptographic Algorithm') ?? null,
    lengthBits: attributeValue(attributes, 'Cryptographic Length') ?? null,
    attributes: attributes.map(describeAttribute),
  }
}
