import { type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.21: destroys the key material of an object. */
export const DestroyRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
})
export type DestroyRequest = Of<typeof DestroyRequest>

/** KMIP 1.4, 4.21. */
export const DestroyResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
})
export type DestroyResponse = Of<typeof DestroyResponse>
