import { type Of, optional, repeated, structure, text } from '@cryptvisor/ttlv'
import { Attribute } from '../attribute/attribute.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.12: asks for attributes; for all of them when none is named. */
export const GetAttributesRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  attributeName: repeated(text(Tag.AttributeName)),
})
export type GetAttributesRequest = Of<typeof GetAttributesRequest>

/** KMIP 1.4, 4.12: those that have a value. */
export const GetAttributesResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  attribute: repeated(Attribute),
})
export type GetAttributesResponse = Of<typeof GetAttributesResponse>
