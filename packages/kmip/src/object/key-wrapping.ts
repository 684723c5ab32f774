import {
  bytes,
  enumeration,
  type Of,
  openEnumeration,
  optional,
  repeated,
  since,
  structure,
  text,
} from '@cryptvisor/ttlv'
import { cryptographicParameters } from '../attribute/cryptographic-parameters.ts'
import { EncodingOption, WrappingMethod } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_1 } from '../version.ts'

const keyInformation = (tag: number) =>
  structure(tag, {
    uniqueIdentifier: text(Tag.UniqueIdentifier),
    cryptographicParameters: optional(cryptographicParameters(Tag.CryptographicParameters)),
  })

/** KMIP 1.4, 2.1.5: how a key value was wrapped. */
export const KeyWrappingData = structure(Tag.KeyWrappingData, {
  wrappingMethod: enumeration(Tag.WrappingMethod, WrappingMethod),
  encryptionKeyInformation: optional(keyInformation(Tag.EncryptionKeyInformation)),
  macSignatureKeyInformation: optional(keyInformation(Tag.MACSignatureKeyInformation)),
  macSignature: optional(bytes(Tag.MACSignature)),
  ivCounterNonce: optional(bytes(Tag.IVCounterNonce)),
  encodingOption: since(v1_1, optional(openEnumeration(Tag.EncodingOption, EncodingOption))),
})
export type KeyWrappingData = Of<typeof KeyWrappingData>

/** KMIP 1.4, 2.1.6: how a key value shall be wrapped. */
export const KeyWrappingSpecification = structure(Tag.KeyWrappingSpecification, {
  wrappingMethod: enumeration(Tag.WrappingMethod, WrappingMethod),
  encryptionKeyInformation: optional(keyInformation(Tag.EncryptionKeyInformation)),
  macSignatureKeyInformation: optional(keyInformation(Tag.MACSignatureKeyInformation)),
  attributeName: repeated(text(Tag.AttributeName)),
  encodingOption: since(v1_1, optional(openEnumeration(Tag.EncodingOption, EncodingOption))),
})
export type KeyWrappingSpecification = Of<typeof KeyWrappingSpecification>
