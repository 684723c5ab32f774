import { Secret } from '@cryptvisor/secret'
import {
  choice,
  constant,
  either,
  type Item,
  integer,
  type Of,
  openEnumeration,
  optional,
  repeated,
  secretBytes,
  structure,
  undeclared,
} from '@cryptvisor/ttlv'
import { Attribute } from '../attribute/attribute.ts'
import { CryptographicAlgorithm, KeyCompressionType, KeyFormatType } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { KeyWrappingData } from './key-wrapping.ts'

const keyFormatType = openEnumeration(Tag.KeyFormatType, KeyFormatType)
type Format = Of<typeof keyFormatType>

/** KMIP 1.4, 2.1.7.1: the key in a structure of its own. */
export const TransparentSymmetricKey = structure(Tag.KeyMaterial, { key: secretBytes(Tag.Key) })
export type TransparentSymmetricKey = Of<typeof TransparentSymmetricKey>

/** The formats whose key material is a Byte String. */
const byteFormats = ['Raw', 'Opaque', 'PKCS_1', 'PKCS_8', 'X_509', 'ECPrivateKey', 'PKCS_12', 'PKCS_10'] as const
type ByteFormat = (typeof byteFormats)[number]

/** KMIP 1.4, 2.1.4: wrapped, the bytes of the encrypted key value; else key material and what belongs to it. */
function keyValue<Material>(keyMaterial: Item<Material>) {
  const plain = structure(Tag.KeyValue, { keyMaterial, attribute: repeated(Attribute) })
  return either(secretBytes(Tag.KeyValue), (value) => value instanceof Secret, plain)
}

/** KMIP 1.4, 2.1.3, for one or several formats that have the same kind of key material. */
function keyBlock<F extends Format, Material>(format: Item<F>, keyMaterial: Item<Material>) {
  return structure(Tag.KeyBlock, {
    keyFormatType: format,
    keyCompressionType: optional(openEnumeration(Tag.KeyCompressionType, KeyCompressionType)),
    keyValue: optional(keyValue(keyMaterial)),
    cryptographicAlgorithm: optional(openEnumeration(Tag.CryptographicAlgorithm, CryptographicAlgorithm)),
    cryptographicLength: optional(integer(Tag.CryptographicLength)),
    keyWrappingData: optional(KeyWrappingData),
  })
}

// One declaration serves all formats with bytes; `select` gives it to those only.
const bytesBlock = keyBlock(keyFormatType as Item<ByteFormat>, secretBytes(Tag.KeyMaterial))
const transparentSymmetricBlock = keyBlock(constant(keyFormatType, 'TransparentSymmetricKey'), TransparentSymmetricKey)
/** Other transparent formats and vendors' own: kept as they came. */
const otherBlock = keyBlock(
  // Like `bytesBlock`: for all that the others are not for.
  keyFormatType as Item<Exclude<Format, ByteFormat | 'TransparentSymmetricKey'>>,
  undeclared(Tag.KeyMaterial),
)

/** KMIP 1.4, 2.1.3: a key, its format, and how it is wrapped. The format says what the key material looks like. */
export const KeyBlock = choice(Tag.KeyBlock, 'keyFormatType', keyFormatType, (format) => {
  if (format === undefined) return null
  if (format === 'TransparentSymmetricKey') return transparentSymmetricBlock
  return isByteFormat(format) ? bytesBlock : otherBlock
})
export type KeyBlock = Of<typeof KeyBlock>

function isByteFormat(format: Format): format is ByteFormat {
  return byteFormats.some((one) => one === format)
}
