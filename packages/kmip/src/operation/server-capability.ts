import {
  anyValue,
  boolean,
  enumeration,
  integer,
  type Of,
  openEnumeration,
  optional,
  repeated,
  since,
  structure,
  text,
} from '@cryptvisor/ttlv'
import {
  DestroyAction,
  ProfileName,
  RNGMode,
  ShreddingAlgorithm,
  UnwrapMode,
  ValidationAuthorityType,
  ValidationType,
} from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_4 } from '../version.ts'

/** KMIP 1.4, 4.25: whatever a vendor says of its server. */
export const ServerInformation = anyValue(Tag.ServerInformation)
export type ServerInformation = Of<typeof ServerInformation>

/** KMIP 1.4, 2.1.9: a tag of a vendor's. */
export const ExtensionInformation = structure(Tag.ExtensionInformation, {
  extensionName: text(Tag.ExtensionName),
  extensionTag: optional(integer(Tag.ExtensionTag)),
  extensionType: optional(integer(Tag.ExtensionType)),
})
export type ExtensionInformation = Of<typeof ExtensionInformation>

/** KMIP 1.4, 2.1.19: a profile that the server keeps to. */
export const ProfileInformation = structure(Tag.ProfileInformation, {
  profileName: openEnumeration(Tag.ProfileName, ProfileName),
  serverUri: optional(text(Tag.ServerURI)),
  serverPort: optional(integer(Tag.ServerPort)),
})
export type ProfileInformation = Of<typeof ProfileInformation>

/** KMIP 1.4, 2.1.20: a validation that the server has passed. */
export const ValidationInformation = structure(Tag.ValidationInformation, {
  validationAuthorityType: openEnumeration(Tag.ValidationAuthorityType, ValidationAuthorityType),
  validationAuthorityCountry: optional(text(Tag.ValidationAuthorityCountry)),
  validationAuthorityUri: optional(text(Tag.ValidationAuthorityURI)),
  validationVersionMajor: integer(Tag.ValidationVersionMajor),
  validationVersionMinor: optional(integer(Tag.ValidationVersionMinor)),
  validationType: openEnumeration(Tag.ValidationType, ValidationType),
  validationLevel: integer(Tag.ValidationLevel),
  validationCertificateIdentifier: optional(text(Tag.ValidationCertificateIdentifier)),
  validationCertificateUri: optional(text(Tag.ValidationCertificateURI)),
  validationVendorUri: optional(text(Tag.ValidationVendorURI)),
  validationProfile: repeated(text(Tag.ValidationProfile)),
})
export type ValidationInformation = Of<typeof ValidationInformation>

/** KMIP 1.4, 2.1.21: which optional things the server can do. */
export const CapabilityInformation = structure(Tag.CapabilityInformation, {
  streamingCapability: optional(boolean(Tag.StreamingCapability)),
  asynchronousCapability: optional(boolean(Tag.AsynchronousCapability)),
  attestationCapability: optional(boolean(Tag.AttestationCapability)),
  batchUndoCapability: since(v1_4, optional(boolean(Tag.BatchUndoCapability))),
  batchContinueCapability: since(v1_4, optional(boolean(Tag.BatchContinueCapability))),
  unwrapMode: optional(enumeration(Tag.UnwrapMode, UnwrapMode)),
  destroyAction: optional(enumeration(Tag.DestroyAction, DestroyAction)),
  shreddingAlgorithm: optional(enumeration(Tag.ShreddingAlgorithm, ShreddingAlgorithm)),
  rngMode: optional(enumeration(Tag.RNGMode, RNGMode)),
})
export type CapabilityInformation = Of<typeof CapabilityInformation>
