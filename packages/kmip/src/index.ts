export { type AlternativeName, alternativeName } from './attribute/alternative-name.ts'
export {
  type ApplicationSpecificInformation,
  applicationSpecificInformation,
} from './attribute/application-specific-information.ts'
export {
  Attribute,
  type AttributeValue,
  attribute,
  attributeValue,
  attributeValues,
  customAttribute,
  isCustomName,
} from './attribute/attribute.ts'
export type { AttributeDeclaration, AttributeSource } from './attribute/attribute-declaration.ts'
export { type AttributeDescription, describeAttribute, type JsonValue } from './attribute/attribute-description.ts'
export {
  type CertificateIdentifier,
  type CertificateIssuer,
  type CertificateSubject,
  certificateIdentifier,
  certificateIssuer,
  certificateSubject,
  type X509CertificateIdentifier,
  type X509CertificateIssuer,
  type X509CertificateSubject,
  x509CertificateIdentifier,
  x509CertificateIssuer,
  x509CertificateSubject,
} from './attribute/certificate.ts'
export {
  type CryptographicDomainParameters,
  cryptographicDomainParameters,
} from './attribute/cryptographic-domain-parameters.ts'
export { type CryptographicParameters, cryptographicParameters } from './attribute/cryptographic-parameters.ts'
export { type Digest, digest } from './attribute/digest.ts'
export { type KeyValueLocation, keyValueLocation } from './attribute/key-value-location.ts'
export { type Link, link } from './attribute/link.ts'
export { type Name, name } from './attribute/name.ts'
export { allObjects, asymmetricKeys, certificates, cryptographicObjects, keys } from './attribute/object-types.ts'
export { type RevocationReason, revocationReason } from './attribute/revocation-reason.ts'
export { type RngParameters, rngParameters } from './attribute/rng-parameters.ts'
export {
  type StandardAttributeName,
  type StandardAttributeValue,
  standardAttribute,
  standardAttributes,
} from './attribute/standard-attributes.ts'
export { TemplateAttribute } from './attribute/template-attribute.ts'
export { type UsageLimits, usageLimits } from './attribute/usage-limits.ts'
export * from './enumeration.ts'
export { KmipError } from './kmip-error.ts'
export { Authentication, Credential, Nonce } from './message/credential.ts'
export { RequestMessage, ResponseMessage } from './message/message.ts'
export {
  batchCountMax,
  decodeRequest,
  decodeResponse,
  dumpRequest,
  dumpResponse,
  encodeRequest,
  encodeResponse,
  requestVersion,
} from './message/message-codec.ts'
export { MessageExtension } from './message/message-extension.ts'
export { ProtocolVersion } from './message/protocol-version.ts'
export {
  type DeclaredRequestBatchItem,
  isDeclaredRequest,
  type OtherRequestBatchItem,
  RequestBatchItem,
} from './message/request-batch-item.ts'
export { RequestHeader } from './message/request-header.ts'
export {
  type DeclaredResponseBatchItem,
  isDeclaredResponse,
  type OtherResponseBatchItem,
  ResponseBatchItem,
} from './message/response-batch-item.ts'
export { ResponseHeader } from './message/response-header.ts'
export { KeyBlock, TransparentSymmetricKey } from './object/key-block.ts'
export { KeyWrappingData, KeyWrappingSpecification } from './object/key-wrapping.ts'
export {
  Certificate,
  type ManagedObject,
  type ManagedObjectType,
  managedObjects,
  OpaqueObject,
  PgpKey,
  PrivateKey,
  PublicKey,
  SecretData,
  SplitKey,
  SymmetricKey,
  Template,
} from './object/managed-object.ts'
export { ActivateRequest, ActivateResponse } from './operation/activate.ts'
export { AddAttributeRequest, AddAttributeResponse } from './operation/add-attribute.ts'
export { CheckRequest, CheckResponse } from './operation/check.ts'
export { CreateRequest, CreateResponse } from './operation/create.ts'
export { DeleteAttributeRequest, DeleteAttributeResponse } from './operation/delete-attribute.ts'
export { DestroyRequest, DestroyResponse } from './operation/destroy.ts'
export { DiscoverVersionsRequest, DiscoverVersionsResponse } from './operation/discover-versions.ts'
export { GetRequest, GetResponse } from './operation/get.ts'
export { GetAttributeListRequest, GetAttributeListResponse } from './operation/get-attribute-list.ts'
export { GetAttributesRequest, GetAttributesResponse } from './operation/get-attributes.ts'
export { LocateRequest, LocateResponse } from './operation/locate.ts'
export { ModifyAttributeRequest, ModifyAttributeResponse } from './operation/modify-attribute.ts'
export {
  type DeclaredOperation,
  isDeclaredOperation,
  type OperationDeclaration,
  operations,
  type RequestOf,
  type ResponseOf,
} from './operation/operations.ts'
export { QueryRequest, QueryResponse } from './operation/query.ts'
export { RegisterRequest, RegisterResponse } from './operation/register.ts'
export { RevokeRequest, RevokeResponse } from './operation/revoke.ts'
export {
  CapabilityInformation,
  ExtensionInformation,
  ProfileInformation,
  ServerInformation,
  ValidationInformation,
} from './operation/server-capability.ts'
export { Tag, tagName } from './tag.ts'
export {
  formatVersion,
  type VersionRange,
  v1_0,
  v1_1,
  v1_2,
  v1_3,
  v1_4,
  versions,
} from './version.ts'
