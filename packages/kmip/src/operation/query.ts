import { type Of, openEnumeration, optional, repeated, since, structure, text } from '@cryptvisor/ttlv'
import { rngParameters } from '../attribute/rng-parameters.ts'
import { AttestationType, ClientRegistrationMethod, ObjectType, Operation, QueryFunction } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_1, v1_2, v1_3 } from '../version.ts'
import {
  CapabilityInformation,
  ExtensionInformation,
  ProfileInformation,
  ServerInformation,
  ValidationInformation,
} from './server-capability.ts'

/** KMIP 1.4, 4.25: asks what the server can do. */
export const QueryRequest = structure(Tag.RequestPayload, {
  queryFunction: repeated(openEnumeration(Tag.QueryFunction, QueryFunction)),
})
export type QueryRequest = Of<typeof QueryRequest>

/** KMIP 1.4, 4.25: what was asked for, as far as there is something to say. */
export const QueryResponse = structure(Tag.ResponsePayload, {
  operation: repeated(openEnumeration(Tag.Operation, Operation)),
  objectType: repeated(openEnumeration(Tag.ObjectType, ObjectType)),
  vendorIdentification: optional(text(Tag.VendorIdentification)),
  serverInformation: optional(ServerInformation),
  applicationNamespace: repeated(text(Tag.ApplicationNamespace)),
  extensionInformation: since(v1_1, repeated(ExtensionInformation)),
  attestationType: since(v1_2, repeated(openEnumeration(Tag.AttestationType, AttestationType))),
  rngParameters: since(v1_3, repeated(rngParameters(Tag.RNGParameters))),
  profileInformation: since(v1_3, repeated(ProfileInformation)),
  validationInformation: since(v1_3, repeated(ValidationInformation)),
  capabilityInformation: since(v1_3, repeated(CapabilityInformation)),
  clientRegistrationMethod: since(
    v1_3,
    repeated(openEnumeration(Tag.ClientRegistrationMethod, ClientRegistrationMethod)),
  ),
})
export type QueryResponse = Of<typeof QueryResponse>
