import { choice, constant, enumeration, type Item, type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { TemplateAttribute } from '../attribute/template-attribute.ts'
import { ObjectType } from '../enumeration.ts'
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

const objectType = enumeration(Tag.ObjectType, ObjectType)

function variant<Type extends ObjectType, Value>(type: Type, object: Item<Value>) {
  return structure(Tag.RequestPayload, {
    objectType: constant(objectType, type),
    templateAttribute: TemplateAttribute,
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

/** KMIP 1.4, 4.3: the server takes an object that the client has. The Object Type says which. */
export const RegisterRequest = choice(Tag.RequestPayload, 'objectType', objectType, (type) =>
  type === undefined ? null : variants[type],
)
export type RegisterRequest = Of<typeof RegisterRequest>

/** KMIP 1.4, 4.3: what the object is called now. */
export const RegisterResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  templateAttribute: optional(TemplateAttribute),
})
export type RegisterResponse = Of<typeof RegisterResponse>
