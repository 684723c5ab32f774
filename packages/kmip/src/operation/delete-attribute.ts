import { integer, type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Attribute } from '../attribute/attribute.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.16: deletes an instance of an attribute; the one with index 0 when none is named. */
export const DeleteAttributeRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  attributeName: text(Tag.AttributeName),
  attributeIndex: optional(integer(Tag.AttributeIndex)),
})
export type DeleteAttributeRequest = Of<typeof DeleteAttributeRequest>

/** KMIP 1.4, 4.16: the attribute that is gone. */
export const DeleteAttributeResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  attribute: Attribute,
})
export type DeleteAttributeResponse = Of<typeof DeleteAttributeResponse>
