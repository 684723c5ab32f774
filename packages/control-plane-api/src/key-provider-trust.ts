import { type Static, Type } from 'typebox'
import {
  CertificateView,
  Fingerprint256,
  KeyProvider,
  KeyProviderStatus,
  KmipServerAddress,
  KmipServerWish,
  providerServersMax,
} from './key-providers.ts'
import { Nullable, Time } from './names.ts'

/**
 * How a key server comes to trust the control plane. `root-ca`: it trusts the control plane's CA, which signs the client
 * certificate. `self-signed`: the certificate itself is registered there. `upload`: the key server made certificate and
 * key. `csr`: the key server's CA signs a request whose key never leaves the control plane.
 */
export const ClientTrustWay = Type.Union([
  Type.Literal('root-ca'),
  Type.Literal('self-signed'),
  Type.Literal('upload'),
  Type.Literal('csr'),
])
export type ClientTrustWay = Static<typeof ClientTrustWay>

const Pem = Type.String({ maxLength: 65_536 })
const Force = Type.Optional(Type.Boolean({ description: 'Show it to the servers although they have not taken it yet' }))

/** Prepares a client certificate; for `upload` its key was sent before. */
export const PrepareClientTrust = Type.Object(
  {
    way: ClientTrustWay,
    /** With `upload` alone: PEM. */
    certificate: Type.Optional(Pem),
    /** The subject of the certificate or request; a name of the control plane when it is left out. */
    commonName: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    force: Force,
  },
  { additionalProperties: false },
)
export type PrepareClientTrust = Static<typeof PrepareClientTrust>

/** The certificate that the key server's CA made of a request. */
export const SignedClientCertificate = Type.Object({ certificate: Pem, force: Force }, { additionalProperties: false })
export type SignedClientCertificate = Static<typeof SignedClientCertificate>

export const ActivateClientTrust = Type.Object({ force: Force }, { additionalProperties: false })
export type ActivateClientTrust = Static<typeof ActivateClientTrust>

/** A client certificate of a provider; its key stays sealed. */
export const ClientIdentity = Type.Object({
  way: ClientTrustWay,
  /** `prepared`: takes the place of the active one once the servers took it. */
  state: Type.Union([Type.Literal('active'), Type.Literal('prepared')]),
  certificate: Nullable(CertificateView),
  /** PEM, to register at the key server. */
  certificatePem: Nullable(Type.String()),
  /** PKCS#10, PEM, for the key server's CA; `null` where none was made. */
  csrPem: Nullable(Type.String()),
  createdAt: Time,
  /** When it is renewed, or a new one prepared; `null` for one that was uploaded. */
  renewAt: Nullable(Time),
})
export type ClientIdentity = Static<typeof ClientIdentity>

/** How the servers know us, and what is to be done next. */
export const ClientTrust = Type.Object({
  active: Nullable(ClientIdentity),
  prepared: Nullable(ClientIdentity),
  /** The certificate of the control plane's CA, PEM, to upload at the key server for the way `root-ca`. */
  rootCaPem: Type.String(),
  /** For people: what to do next; `null`: nothing. */
  next: Nullable(Type.String()),
})
export type ClientTrust = Static<typeof ClientTrust>

/** A provider in full. */
export const KeyProviderDetail = Type.Object({
  ...KeyProvider.properties,
  /** The authorities of its servers' certificates. */
  serverCa: Type.Array(CertificateView),
  /** As the last probe found it. */
  status: Nullable(KeyProviderStatus),
  /** `null` for a native provider, which has no servers. */
  clientTrust: Nullable(ClientTrust),
  /** The entities whose VMs get their keys from it by default, beside the system. */
  defaultOf: Type.Array(
    Type.Object({ kind: Type.Union([Type.Literal('cluster'), Type.Literal('folder')]), name: Type.String() }),
  ),
})
export type KeyProviderDetail = Static<typeof KeyProviderDetail>

/** Which server to ask for its certificate. */
export const InspectServer = Type.Object(KmipServerAddress.properties, { additionalProperties: false })
export type InspectServer = Static<typeof InspectServer>

/** What a server showed, unproven: compare the fingerprint with what the key server itself says. */
export const InspectedServer = Type.Object({
  ...KmipServerAddress.properties,
  certificate: Nullable(CertificateView),
  /** Why there is no certificate: what is wrong, and what to do. */
  problem: Nullable(Type.String()),
})
export type InspectedServer = Static<typeof InspectedServer>

/** Which certificates of servers are trusted from now on. */
export const TrustServers = Type.Object(
  {
    /** PEM: the authorities of the servers that have no fingerprint; those that were there go. */
    serverCa: Type.Optional(Pem),
    /** Of these servers exactly this certificate is trusted; with `null` those of the authorities. */
    pins: Type.Optional(
      Type.Array(
        Type.Object(
          { ...KmipServerAddress.properties, fingerprint256: Nullable(Fingerprint256) },
          { additionalProperties: false },
        ),
        { maxItems: providerServersMax },
      ),
    ),
  },
  { additionalProperties: false },
)
export type TrustServers = Static<typeof TrustServers>

/** A server that is added; `position` counts from 0, the end when it is left out. */
export const AddProviderServer = Type.Object(
  { ...KmipServerWish.properties, position: Type.Optional(Type.Integer({ minimum: 0, maximum: providerServersMax })) },
  { additionalProperties: false },
)
export type AddProviderServer = Static<typeof AddProviderServer>

/** What changes about a server: where it is, or when it is tried. Its pinned certificate stays. */
export const ChangeProviderServer = Type.Object(
  {
    host: Type.Optional(KmipServerAddress.properties.host),
    port: Type.Optional(KmipServerAddress.properties.port),
    position: Type.Optional(Type.Integer({ minimum: 0, maximum: providerServersMax - 1 })),
  },
  { additionalProperties: false },
)
export type ChangeProviderServer = Static<typeof ChangeProviderServer>

const EntityKind = Type.Union([Type.Literal('cluster'), Type.Literal('folder')])

/** A cluster by its name, a folder by its path. */
const Entity = Type.Object(
  { kind: EntityKind, name: Type.String({ minLength: 1, maxLength: 2000 }) },
  { additionalProperties: false },
)

/** Whose keys come from the provider by default; the system's where no entity is named. */
export const SetDefaultProvider = Type.Object(
  {
    entity: Type.Optional(Entity),
    force: Type.Optional(Type.Boolean({ description: 'Also when its keys cannot be had now' })),
  },
  { additionalProperties: false },
)
export type SetDefaultProvider = Static<typeof SetDefaultProvider>

/** Who is to have no default of its own any more; the system where no entity is named. */
export const ClearDefaultProvider = Type.Object({ entity: Type.Optional(Entity) }, { additionalProperties: false })
export type ClearDefaultProvider = Static<typeof ClearDefaultProvider>

/** All defaults: the system's, and those of entities. */
export const ProviderDefaults = Type.Object({
  system: Nullable(Type.String()),
  entities: Type.Array(Type.Object({ kind: EntityKind, name: Type.String(), provider: Type.String() })),
})
export type ProviderDefaults = Static<typeof ProviderDefaults>

/** The provider that would be asked for a new key of a VM, and why that one. */
export const ProviderChoice = Type.Object({
  provider: Type.String(),
  from: Type.Union([Type.Literal('policy'), Type.Literal('folder'), Type.Literal('cluster'), Type.Literal('system')]),
  text: Type.String(),
})
export type ProviderChoice = Static<typeof ProviderChoice>
