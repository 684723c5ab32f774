import {
  bytes,
  choice,
  constant,
  type Item,
  type Of,
  openEnumeration,
  optional,
  repeated,
  secretText,
  structure,
  text,
  undeclared,
} from '@cryptvisor/ttlv'
import { AttestationType, CredentialType } from '../enumeration.ts'
import { Tag } from '../tag.ts'

const credentialType = openEnumeration(Tag.CredentialType, CredentialType)

/** KMIP 1.4, 2.1.14: a random value of the server that an attestation must hold. */
export const Nonce = structure(Tag.Nonce, {
  nonceId: bytes(Tag.NonceID),
  nonceValue: bytes(Tag.NonceValue),
})
export type Nonce = Of<typeof Nonce>

const UsernameAndPassword = structure(Tag.Credential, {
  credentialType: constant(credentialType, 'UsernameAndPassword'),
  credentialValue: structure(Tag.CredentialValue, {
    username: text(Tag.Username),
    password: optional(secretText(Tag.Password)),
  }),
})

const Device = structure(Tag.Credential, {
  credentialType: constant(credentialType, 'Device'),
  credentialValue: structure(Tag.CredentialValue, {
    deviceSerialNumber: optional(text(Tag.DeviceSerialNumber)),
    password: optional(secretText(Tag.Password)),
    deviceIdentifier: optional(text(Tag.DeviceIdentifier)),
    networkIdentifier: optional(text(Tag.NetworkIdentifier)),
    machineIdentifier: optional(text(Tag.MachineIdentifier)),
    mediaIdentifier: optional(text(Tag.MediaIdentifier)),
  }),
})

const Attestation = structure(Tag.Credential, {
  credentialType: constant(credentialType, 'Attestation'),
  credentialValue: structure(Tag.CredentialValue, {
    nonce: Nonce,
    attestationType: openEnumeration(Tag.AttestationType, AttestationType),
    attestationMeasurement: optional(bytes(Tag.AttestationMeasurement)),
    attestationAssertion: optional(bytes(Tag.AttestationAssertion)),
  }),
})

type KnownType = 'UsernameAndPassword' | 'Device' | 'Attestation'

/** A kind of credential that we do not know: kept as it came. */
const OtherCredential = structure(Tag.Credential, {
  // `Credential` gives it to no other types.
  credentialType: credentialType as Item<Exclude<Of<typeof credentialType>, KnownType>>,
  credentialValue: undeclared(Tag.CredentialValue),
})

/** KMIP 1.4, 2.1.2: who the client is, besides its certificate. */
export const Credential = choice(Tag.Credential, 'credentialType', credentialType, (type) => {
  if (type === 'UsernameAndPassword') return UsernameAndPassword
  if (type === 'Device') return Device
  return type === 'Attestation' ? Attestation : OtherCredential
})
export type Credential = Of<typeof Credential>

/** KMIP 1.4, 6.6: credentials; more than one since 1.2. */
export const Authentication = structure(Tag.Authentication, { credential: repeated(Credential) })
export type Authentication = Of<typeof Authentication>
