import {
  choice,
  constant,
  enumeration,
  type Item,
  type Of,
  openEnumeration,
  optional,
  since,
  structure,
  text,
} from '@cryptvisor/ttlv'
import { KeyCompressionType, KeyFormatType, KeyWrapType, ObjectType } from '../enumeration.ts'
import { KeyWrappingSpecification } from '../object/key-wrapping.ts'
import {
  Certificate,
  OpaqueObject,
  PgpKey,
  PrivateKey,
  PublicKey,
  SecretData,
  SplitKey,
  SymmetricKey,
  Template,
} from '../object/managed-object.ts'
import { Tag } from '../tag.ts'
import { v1_4 } from '../version.ts'

/** KMIP 1.4, 4.11: asks for an object. */
export const GetRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  keyFormatType: optional(openEnumeration(Tag.KeyFormatType, KeyFormatType)),
  keyWrapType: since(v1_4, optional(openEnumeration(Tag.KeyWrapType, KeyWrapType))),
  keyCompressionType: optional(openEnumeration(Tag.KeyCompressionType, KeyCompressionType)),
  keyWrappingSpecification: optional(KeyWrappingSpecification),
})
export type GetRequest = Of<typeof GetRequest>

const objectType = enumeration(Tag.ObjectType, ObjectType)

function variant<Type extends ObjectType, Value>(type: Type, object: Item<Value>) {
  return structure(Tag.ResponsePayload, {
    objectType: constant(objectType, type),
    uniqueIdentifier: text(Tag.UniqueIdentifier),
    object,
  })
}

const variants = {
  Certificate: variant('Certificate', Certificate),
  SymmetricKey: variant('SymmetricKey', SymmetricKey),
  PublicKey: variant('PublicKey', PublicKey),
  PrivateKey: variant('PrivateKey', PrivateKey),
  SplitKey: variant('SplitKey', SplitKey),
  Template: variant('Template', Template),
  SecretData: variant('SecretData', SecretData),
  OpaqueObject: variant('OpaqueObject', OpaqueObject),
  PGPKey: variant('PGPKey', PgpKey),
  CertificateRequest: null,
}

/** KMIP 1.4, 4.11: the object. The Object Type says which. */
export const GetResponse = choice(Tag.ResponsePayload, 'objectType', objectType, (type) =>
  type === undefined ? null : variants[type],
)
export type GetResponse = Of<typeof GetResponse>
