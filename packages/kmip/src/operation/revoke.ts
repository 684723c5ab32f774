import { dateTime, type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { revocationReason } from '../attribute/revocation-reason.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.20: moves an object to Compromised for a reason that says so, else from Active to Deactivated. */
export const RevokeRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  revocationReason: revocationReason(Tag.RevocationReason),
  compromiseOccurrenceDate: optional(dateTime(Tag.CompromiseOccurrenceDate)),
})
export type RevokeRequest = Of<typeof RevokeRequest>

/** KMIP 1.4, 4.20. */
export const RevokeResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
})
export type RevokeResponse = Of<typeof RevokeResponse>
