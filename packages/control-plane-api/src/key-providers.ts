import { type Static, Type } from 'typebox'
import { Name, Nullable } from './names.ts'

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

/** Provider IDs appear in key records, so they are plain ASCII and never change. */
export const ProviderName = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })

/** The largest file with a client's private key, PEM, that is taken. */
export const clientKeySizeMax = 16_384

/**
 * A standard key provider. All servers keep the same keys and take the same client certificate. Its private key is sent
 * before, as bytes, by `PUT /api/v1/key-providers/{name}/client-key`: no schema has a field for a key.
 */
export const AddKeyProvider = Type.Object(
  {
    name: ProviderName,
    servers: Type.Array(KmipServerAddress, { minItems: 1, maxItems: 8, description: 'In the order to try them' }),
    /** PEM; the servers' certificates must stand under one of these. */
    serverCa: Type.String({ maxLength: 65_536 }),
    clientCertificate: Type.String({ maxLength: 65_536 }),
    /** The first provider becomes the default by itself. */
    makeDefault: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export type AddKeyProvider = Static<typeof AddKeyProvider>

export const KeyProvider = Type.Object({
  name: ProviderName,
  kind: Type.Literal('standard'),
  isDefault: Type.Boolean(),
  servers: Type.Array(KmipServerAddress),
  clientCertificateExpiresAt: Type.String(),
  clientCertificateFingerprint256: Type.String(),
})
export type KeyProvider = Static<typeof KeyProvider>
export const KeyProviderList = Type.Object({ providers: Type.Array(KeyProvider) })

export const Health = Type.Union([Type.Literal('green'), Type.Literal('yellow'), Type.Literal('red')])
export type Health = Static<typeof Health>

/** Found by making, reading back and destroying a key, not by a mere connection. */
export const KeyProviderStatus = Type.Object({
  name: ProviderName,
  health: Health,
  text: Type.String(),
  servers: Type.Array(
    Type.Object({
      address: Type.String(),
      health: Health,
      text: Type.String(),
      protocolVersion: Nullable(Type.String()),
      vendor: Nullable(Type.String()),
      roundTripMs: Nullable(Type.Number()),
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
      kind: Type.Union([Type.Literal('vm'), Type.Literal('host')]),
      id: Type.String(),
      name: Type.String(),
    }),
  ),
  /** Made by us, and tied to nothing. */
  orphan: Type.Boolean(),
})
export type Key = Static<typeof Key>
export const KeyList = Type.Object({ keys: Type.Array(Key) })
