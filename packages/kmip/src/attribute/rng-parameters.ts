import { boolean, integer, type Of, openEnumeration, optional, structure } from '@cryptvisor/ttlv'
import {
  CryptographicAlgorithm,
  DRBGAlgorithm,
  FIPS186Variation,
  HashingAlgorithm,
  RecommendedCurve,
  RNGAlgorithm,
} from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 2.1.18: a random number generator. */
export const rngParameters = (tag: number) =>
  structure(tag, {
    rngAlgorithm: openEnumeration(Tag.RNGAlgorithm, RNGAlgorithm),
    cryptographicAlgorithm: optional(openEnumeration(Tag.CryptographicAlgorithm, CryptographicAlgorithm)),
    cryptographicLength: optional(integer(Tag.CryptographicLength)),
    hashingAlgorithm: optional(openEnumeration(Tag.HashingAlgorithm, HashingAlgorithm)),
    drbgAlgorithm: optional(openEnumeration(Tag.DRBGAlgorithm, DRBGAlgorithm)),
    recommendedCurve: optional(openEnumeration(Tag.RecommendedCurve, RecommendedCurve)),
    fips186Variation: optional(openEnumeration(Tag.FIPS186Variation, FIPS186Variation)),
    predictionResistance: optional(boolean(Tag.PredictionResistance)),
  })
export type RngParameters = Of<ReturnType<typeof rngParameters>>
