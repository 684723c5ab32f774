import { enumeration, longInteger, type Of, optional, structure } from '@cryptvisor/ttlv'
import { UsageLimitsUnit } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.21: how much a key may be used, and how much of that is left. */
export const usageLimits = (tag: number) =>
  structure(tag, {
    usageLimitsTotal: longInteger(Tag.UsageLimitsTotal),
    usageLimitsCount: optional(longInteger(Tag.UsageLimitsCount)),
    usageLimitsUnit: enumeration(Tag.UsageLimitsUnit, UsageLimitsUnit),
  })
export type UsageLimits = Of<ReturnType<typeof usageLimits>>
