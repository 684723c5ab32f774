import { type Static, Type } from 'typebox'
import { WrappingKey } from './key-types.ts'
import { Name, Nullable, Time } from './names.ts'
import { NativeProvider } from './native-providers.ts'

/** KMIP over TLS (IANA: port 5696). */
export const KmipServerAddress = Type.Object(
  {
    host: Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[A-Za-z0-9._:-]+$',
      description: 'A host name or an IP address',
    }),
    port: Type.Integer({ minimum: 1, maximum: 65535 }),
  },
  { additionalProperties: false },
)
export type KmipServerAddress = Static<typeof KmipServerAddress>

/** SHA-256 of a certificate's DER, 64 hexadecimal digits in lower case. */
export const Fingerprint256 = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** A server as it is set up; with a fingerprint its certificate is known exactly, whoever signed it. */
export const KmipServerWish = Type.Object(
  { ...KmipServerAddress.properties, fingerprint256: Type.Optional(Fingerprint256) },
  { additionalProperties: false },
)
export type KmipServerWish = Static<typeof KmipServerWish>

/** Provider IDs appear in key records, so they are plain ASCII and never change. */
export const ProviderName = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })

/** The largest file with a client's private key, PEM, that is taken. */
export const clientKeySizeMax = 16_384

/** How many servers a provider has at most. */
export const providerServersMax = 8

const Pem = Type.String({ maxLength: 65_536 })

/**
 * A standard key provider. All servers keep the same keys and take the same client certificate. Its private key is sent
 * before, as bytes, by `PUT /api/v1/key-providers/{name}/client-key`: no schema has a field for a key. Trust may also be
 * set up afterwards, in both directions: until then the provider is not set up and gives no keys.
 */
export const AddKeyProvider = Type.Object(
  {
    name: ProviderName,
    displayName: Type.Optional(Name),
    servers: Type.Array(KmipServerWish, {
      minItems: 1,
      maxItems: providerServersMax,
      description: 'In the order to try them',
    }),
    /** PEM; the certificates of servers without a fingerprint must stand under one of these. */
    serverCa: Type.Optional(Pem),
    clientCertificate: Type.Optional(Pem),
    /** The first provider becomes the default by itself; another one only when its keys can be had. */
    makeDefault: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export type AddKeyProvider = Static<typeof AddKeyProvider>

export const ChangeKeyProvider = Type.Object({ displayName: Nullable(Name) }, { additionalProperties: false })
export type ChangeKeyProvider = Static<typeof ChangeKeyProvider>

export const Health = Type.Union([Type.Literal('green'), Type.Literal('yellow'), Type.Literal('red')])
export type Health = Static<typeof Health>

export const KeyProvider = Type.Object({
  name: ProviderName,
  displayName: Nullable(Type.String()),
  kind: Type.Union([Type.Literal('standard'), Type.Literal('native')]),
  isDefault: Type.Boolean(),
  servers: Type.Array(
    Type.Object({ host: Type.String(), port: Type.Integer(), fingerprint256: Nullable(Type.String()) }),
  ),
  /** What is missing before keys can be had; `null`: nothing. */
  missing: Nullable(Type.String()),
  /** As the last probe found it; `null`: there was none yet. */
  health: Nullable(Health),
  clientCertificateExpiresAt: Nullable(Time),
  clientCertificateFingerprint256: Nullable(Type.String()),
  /** `null` for a standard provider. */
  native: Nullable(NativeProvider),
  /** `null`: each VM has a KEK of its own there (key type `raw`). */
  wrapping: Nullable(WrappingKey),
})
export type KeyProvider = Static<typeof KeyProvider>
export const KeyProviderList = Type.Object({ providers: Type.Array(KeyProvider) })

/** What a certificate says of itself. */
export const CertificateView = Type.Object({
  subject: Type.String(),
  issuer: Type.String(),
  notBefore: Time,
  notAfter: Time,
  fingerprint256: Fingerprint256,
})
export type CertificateView = Static<typeof CertificateView>

/** Found by making, reading back at each server, and destroying a key, not by a mere connection. */
export const KeyProviderStatus = Type.Object({
  name: ProviderName,
  health: Health,
  text: Type.String(),
  /** Since when it is in this colour. */
  since: Time,
  probedAt: Time,
  servers: Type.Array(
    Type.Object({
      address: Type.String(),
      health: Health,
      text: Type.String(),
      protocolVersion: Nullable(Type.String()),
      vendor: Nullable(Type.String()),
      roundTripMs: Nullable(Type.Number()),
      /** What it showed; `null` when it could not be asked. */
      certificate: Nullable(CertificateView),
    }),
  ),
})
export type KeyProviderStatus = Static<typeof KeyProviderStatus>

/** Shown as the provider tells it under the control plane's own identity; there are never key bytes in it. */
export const Key = Type.Object({
  provider: Name,
  keyId: Type.String(),
  /** KMIP's word, such as `Active`; `null` when the provider does not have the key any more. */
  state: Nullable(Type.String()),
  objectType: Nullable(Type.String()),
  algorithm: Nullable(Type.String()),
  lengthBits: Nullable(Type.Integer()),
  attributes: Type.Array(
    Type.Object({ name: Type.String(), index: Type.Integer(), type: Type.String(), value: Type.Unknown() }),
  ),
  /** What the control plane's own database ties the key to. */
  usedBy: Type.Array(
    Type.Object({
      kind: Type.Union([
        Type.Literal('vm'),
        Type.Literal('host'),
        Type.Literal('datastore'),
        Type.Literal('key-provider'),
      ]),
      id: Type.String(),
      name: Type.String(),
    }),
  ),
  /**
   * What is on record of it: `pending` (wraps nothing yet), `current`, `retired` (wrapped something once), `discarded`
   * and `destroyed` (wrapped nothing); `null`: nothing is.
   */
  record: Nullable(
    Type.Object({ state: Type.String(), createdAt: Time, retiredAt: Nullable(Time), ageDays: Type.Integer() }),
  ),
  /** When it is going to be destroyed. */
  destroyAt: Nullable(Time),
  /** Made by us, and tied to nothing. */
  orphan: Type.Boolean(),
})
export type Key = Static<typeof Key>
export const KeyList = Type.Object({ keys: Type.Array(Key) })
