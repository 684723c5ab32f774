import { boolean, bytes, integer, type Of, openEnumeration, optional, since, structure } from '@cryptvisor/ttlv'
import {
  BlockCipherMode,
  CryptographicAlgorithm,
  DigitalSignatureAlgorithm,
  HashingAlgorithm,
  KeyRoleType,
  MaskGenerator,
  PaddingMethod,
} from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_2, v1_4 } from '../version.ts'

/** KMIP 1.4, 3.6: how a key is used in a cryptographic operation. */
export const cryptographicParameters = (tag: number) =>
  structure(tag, {
    blockCipherMode: optional(openEnumeration(Tag.BlockCipherMode, BlockCipherMode)),
    paddingMethod: optional(openEnumeration(Tag.PaddingMethod, PaddingMethod)),
    hashingAlgorithm: optional(openEnumeration(Tag.HashingAlgorithm, HashingAlgorithm)),
    keyRoleType: optional(openEnumeration(Tag.KeyRoleType, KeyRoleType)),
    digitalSignatureAlgorithm: since(
      v1_2,
      optional(openEnumeration(Tag.DigitalSignatureAlgorithm, DigitalSignatureAlgorithm)),
    ),
    cryptographicAlgorithm: since(v1_2, optional(openEnumeration(Tag.CryptographicAlgorithm, CryptographicAlgorithm))),
    randomIv: since(v1_2, optional(boolean(Tag.RandomIV))),
    ivLength: since(v1_2, optional(integer(Tag.IVLength))),
    tagLength: since(v1_2, optional(integer(Tag.TagLength))),
    fixedFieldLength: since(v1_2, optional(integer(Tag.FixedFieldLength))),
    invocationFieldLength: since(v1_2, optional(integer(Tag.InvocationFieldLength))),
    counterLength: since(v1_2, optional(integer(Tag.CounterLength))),
    initialCounterValue: since(v1_2, optional(integer(Tag.InitialCounterValue))),
    saltLength: since(v1_4, optional(integer(Tag.SaltLength))),
    maskGenerator: since(v1_4, optional(openEnumeration(Tag.MaskGenerator, MaskGenerator))),
    maskGeneratorHashingAlgorithm: since(
      v1_4,
      optional(openEnumeration(Tag.MaskGeneratorHashingAlgorithm, HashingAlgorithm)),
    ),
    pSource: since(v1_4, optional(bytes(Tag.PSource))),
    trailerField: since(v1_4, optional(integer(Tag.TrailerField))),
  })
export type CryptographicParameters = Of<ReturnType<typeof cryptographicParameters>>
