import { TemplateAttribute, v1_4 } from '@cryptvisor/kmip'
import { decode, encode } from '@cryptvisor/ttlv'
import type { StoredAttribute } from './stored-object.ts'

/** How long the encoded attributes of one object may be. */
export const attributesSizeMax = 262_144

/** Encodes attributes for storage: a Template-Attribute (KMIP 1.4, 2.1.8) of the newest version. Throws a TtlvError. */
export function encodeAttributes(attributes: readonly StoredAttribute[]): Uint8Array {
  return encode(TemplateAttribute, { name: [], attribute: attributes }, { version: v1_4 })
}

/** Decodes what `encodeAttributes` made. Throws a TtlvError. */
export function decodeAttributes(bytes: Uint8Array): StoredAttribute[] {
  const { attribute } = decode(TemplateAttribute, bytes, { version: v1_4 })
  return attribute.map((each) => ({ ...each, attributeIndex: each.attributeIndex ?? 0 }))
}
