import { integer, interval, longInteger, type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.10: asks whether the client may use an object like this. */
export const CheckRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  usageLimitsCount: optional(longInteger(Tag.UsageLimitsCount)),
  /** Bits of `CryptographicUsageMask`. */
  cryptographicUsageMask: optional(integer(Tag.CryptographicUsageMask)),
  leaseTime: optional(interval(Tag.LeaseTime)),
})
export type CheckRequest = Of<typeof CheckRequest>

/** KMIP 1.4, 4.10: in a failure, with the fields that were too much. */
export const CheckResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  usageLimitsCount: optional(longInteger(Tag.UsageLimitsCount)),
  cryptographicUsageMask: optional(integer(Tag.CryptographicUsageMask)),
  leaseTime: optional(interval(Tag.LeaseTime)),
})
export type CheckResponse = Of<typeof CheckResponse>
