import { type Of, optional, repeated, structure, text } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.13: asks for the names of an object's attributes. */
export const GetAttributeListRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
})
export type GetAttributeListRequest = Of<typeof GetAttributeListRequest>

/** KMIP 1.4, 4.13. */
export const GetAttributeListResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  attributeName: repeated(text(Tag.AttributeName)),
})
export type GetAttributeListResponse = Of<typeof GetAttributeListResponse>
