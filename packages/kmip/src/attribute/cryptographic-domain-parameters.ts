import { integer, type Of, openEnumeration, optional, structure } from '@cryptvisor/ttlv'
import { RecommendedCurve } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.7: parameters of asymmetric keys. */
export const cryptographicDomainParameters = (tag: number) =>
  structure(tag, {
    qlength: optional(integer(Tag.Qlength)),
    recommendedCurve: optional(openEnumeration(Tag.RecommendedCurve, RecommendedCurve)),
  })
export type CryptographicDomainParameters = Of<ReturnType<typeof cryptographicDomainParameters>>
