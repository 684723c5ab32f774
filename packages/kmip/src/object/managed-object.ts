import {
  bigInteger,
  bytes,
  enumeration,
  integer,
  type Of,
  openEnumeration,
  optional,
  repeated,
  secretBytes,
  structure,
} from '@cryptvisor/ttlv'
import { Attribute } from '../attribute/attribute.ts'
import { CertificateType, SecretDataType, SplitKeyMethod } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { KeyBlock } from './key-block.ts'

/** KMIP 1.4, 2.2.1. */
export const Certificate = structure(Tag.Certificate, {
  certificateType: openEnumeration(Tag.CertificateType, CertificateType),
  certificateValue: bytes(Tag.CertificateValue),
})
export type Certificate = Of<typeof Certificate>

/** KMIP 1.4, 2.2.2. */
export const SymmetricKey = structure(Tag.SymmetricKey, { keyBlock: KeyBlock })
export type SymmetricKey = Of<typeof SymmetricKey>

/** KMIP 1.4, 2.2.3. */
export const PublicKey = structure(Tag.PublicKey, { keyBlock: KeyBlock })
export type PublicKey = Of<typeof PublicKey>

/** KMIP 1.4, 2.2.4. */
export const PrivateKey = structure(Tag.PrivateKey, { keyBlock: KeyBlock })
export type PrivateKey = Of<typeof PrivateKey>

/** KMIP 1.4, 2.2.5. */
export const SplitKey = structure(Tag.SplitKey, {
  splitKeyParts: integer(Tag.SplitKeyParts),
  keyPartIdentifier: integer(Tag.KeyPartIdentifier),
  splitKeyThreshold: integer(Tag.SplitKeyThreshold),
  splitKeyMethod: enumeration(Tag.SplitKeyMethod, SplitKeyMethod),
  primeFieldSize: optional(bigInteger(Tag.PrimeFieldSize)),
  keyBlock: KeyBlock,
})
export type SplitKey = Of<typeof SplitKey>

/** KMIP 1.4, 2.2.6 (deprecated). */
export const Template = structure(Tag.Template, { attribute: repeated(Attribute) })
export type Template = Of<typeof Template>

/** KMIP 1.4, 2.2.7. */
export const SecretData = structure(Tag.SecretData, {
  secretDataType: openEnumeration(Tag.SecretDataType, SecretDataType),
  keyBlock: KeyBlock,
})
export type SecretData = Of<typeof SecretData>

/** KMIP 1.4, 2.2.8. What it means only its owner knows, so it counts as secret. */
export const OpaqueObject = structure(Tag.OpaqueObject, {
  opaqueDataType: openEnumeration(Tag.OpaqueDataType, {}),
  opaqueDataValue: secretBytes(Tag.OpaqueDataValue),
})
export type OpaqueObject = Of<typeof OpaqueObject>

/** KMIP 1.4, 2.2.9. */
export const PgpKey = structure(Tag.PGPKey, {
  pgpKeyVersion: integer(Tag.PGPKeyVersion),
  keyBlock: KeyBlock,
})
export type PgpKey = Of<typeof PgpKey>

/** The managed objects (KMIP 1.4, 2.2) by the names of their Object Types. */
export const managedObjects = {
  Certificate,
  SymmetricKey,
  PublicKey,
  PrivateKey,
  SplitKey,
  Template,
  SecretData,
  OpaqueObject,
  PGPKey: PgpKey,
} as const
/** The Object Types that KMIP 1.x has. */
export type ManagedObjectType = keyof typeof managedObjects
export type ManagedObject = Of<(typeof managedObjects)[ManagedObjectType]>
