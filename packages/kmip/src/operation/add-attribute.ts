import { type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Attribute } from '../attribute/attribute.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.14: adds an instance of an attribute; its index is the server's choice and must not be given. */
export const AddAttributeRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  attribute: Attribute,
})
export type AddAttributeRequest = Of<typeof AddAttributeRequest>

/** KMIP 1.4, 4.14: the attribute as it was added, with its index. */
export const AddAttributeResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  attribute: Attribute,
})
export type AddAttributeResponse = Of<typeof AddAttributeResponse>
