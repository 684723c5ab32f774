import { type Static, Type } from 'typebox'

const DateOrNull = Type.Union([Type.String({ format: 'date-time' }), Type.Null()])

/** A certificate that we issued. Only those on record get in. */
export const ClientCertificate = Type.Object(
  {
    fingerprint: Type.String({ description: 'SHA-256, 64 hex digits' }),
    serialNumber: Type.String(),
    issuedAt: Type.String({ format: 'date-time' }),
    notAfter: Type.String({ format: 'date-time' }),
    revokedAt: DateOrNull,
  },
  { additionalProperties: false },
)
export type ClientCertificate = Static<typeof ClientCertificate>

/** A KMIP client, or an administrator; certificates of one name share what it owns. */
export const Client = Type.Object(
  {
    name: Type.String(),
    role: Type.Union([Type.Literal('client'), Type.Literal('administrator')]),
    lastSeenAt: DateOrNull,
    certificates: Type.Array(ClientCertificate),
  },
  { additionalProperties: false },
)
export type Client = Static<typeof Client>

export const ClientList = Type.Object({ clients: Type.Array(Client) }, { additionalProperties: false })
export type ClientList = Static<typeof ClientList>

export const CertificatePath = Type.Object(
  { fingerprint: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
  { additionalProperties: false },
)
