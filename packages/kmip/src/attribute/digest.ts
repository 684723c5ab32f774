import { bytes, type Of, openEnumeration, optional, since, structure } from '@cryptvisor/ttlv'
import { HashingAlgorithm, KeyFormatType } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_1 } from '../version.ts'

/** KMIP 1.4, 3.17: a hash of the key material in the format that it names. */
export const digest = (tag: number) =>
  structure(tag, {
    hashingAlgorithm: openEnumeration(Tag.HashingAlgorithm, HashingAlgorithm),
    digestValue: optional(bytes(Tag.DigestValue)),
    keyFormatType: since(v1_1, optional(openEnumeration(Tag.KeyFormatType, KeyFormatType))),
  })
export type Digest = Of<ReturnType<typeof digest>>
