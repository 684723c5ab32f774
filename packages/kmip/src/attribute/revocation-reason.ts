import { enumeration, type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { RevocationReasonCode } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.31: why an object was revoked. */
export const revocationReason = (tag: number) =>
  structure(tag, {
    revocationReasonCode: enumeration(Tag.RevocationReasonCode, RevocationReasonCode),
    revocationMessage: optional(text(Tag.RevocationMessage)),
  })
export type RevocationReason = Of<ReturnType<typeof revocationReason>>
