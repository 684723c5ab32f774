import { type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.19: moves a Pre-Active object to Active. */
export const ActivateRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
})
export type ActivateRequest = Of<typeof ActivateRequest>

/** KMIP 1.4, 4.19. */
export const ActivateResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
})
export type ActivateResponse = Of<typeof ActivateResponse>
