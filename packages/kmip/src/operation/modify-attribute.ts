import { type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Attribute } from '../attribute/attribute.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.15: gives an existing instance of an attribute another value. */
export const ModifyAttributeRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  attribute: Attribute,
})
export type ModifyAttributeRequest = Of<typeof ModifyAttributeRequest>

/** KMIP 1.4, 4.15: the attribute as it is now. */
export const ModifyAttributeResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  attribute: Attribute,
})
export type ModifyAttributeResponse = Of<typeof ModifyAttributeResponse>
