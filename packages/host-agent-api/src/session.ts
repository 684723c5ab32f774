import { type Static, Type } from 'typebox'

/*
 * What an agent sends to the control plane's listener for hosts: `POST /v1/enroll` once, with a one-time token and
 * without a client certificate; then, over mutual TLS, `POST /v1/session`, whose answer is a stream of NDJSON
 * heartbeats that stays open for as long as both are there.
 */

/** A one-time token is this object as base64url JSON; it comes to the agent by standard input. */
export const EnrolmentToken = Type.Object(
  {
    version: Type.Literal(1),
    /** Of the control plane's listener for hosts. */
    url: Type.String({ maxLength: 256 }),
    /** SHA-256 of the control plane's CA certificate, 64 hex digits. */
    caFingerprint256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    hostName: Type.String({ minLength: 1, maxLength: 80 }),
    /** Works once, for 15 minutes. */
    secret: Type.String({ minLength: 32, maxLength: 64 }),
  },
  { additionalProperties: false },
)
export type EnrolmentToken = Static<typeof EnrolmentToken>

export const EnrolRequest = Type.Object(
  {
    secret: Type.String({ minLength: 32, maxLength: 64 }),
    /** PKCS#10, PEM: the agent's own key pair, which never leaves it. */
    csr: Type.String({ maxLength: 8192 }),
    /** From DMI where it is real, else made once at enrolment. */
    hardwareUuid: Type.String({ maxLength: 64 }),
    /** Where the agent will answer REST. */
    url: Type.String({ maxLength: 256 }),
  },
  { additionalProperties: false },
)
export type EnrolRequest = Static<typeof EnrolRequest>

/** What a host whose certificate is to be renewed sends to `POST /v1/renew`, over the present one; the answer is `EnrolAnswer`. */
export const RenewRequest = Type.Object({ csr: Type.String({ maxLength: 8192 }) }, { additionalProperties: false })
export type RenewRequest = Static<typeof RenewRequest>

export const EnrolAnswer = Type.Object(
  {
    hostId: Type.String(),
    name: Type.String(),
    /** For both its server (SAN: the host of `url`) and its client side. */
    certificate: Type.String(),
    ca: Type.String(),
  },
  { additionalProperties: false },
)
export type EnrolAnswer = Static<typeof EnrolAnswer>

/** It is shown to people, so it cannot hold what steers a terminal. */
const printable = '^[!-~]+$'

export const SessionRequest = Type.Object(
  {
    bootId: Type.String({ maxLength: 64, pattern: printable }),
    url: Type.String({ maxLength: 256, pattern: printable }),
    version: Type.String({ maxLength: 40, pattern: printable }),
    cryptoSupported: Type.Boolean(),
    /** The highest epoch of a control plane that this agent has met; one with a lower epoch was replaced by a restore. */
    epoch: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
)
export type SessionRequest = Static<typeof SessionRequest>

/** A heartbeat line comes this often; an agent that hears none for three times as long dials again. */
export const heartbeatMs = 5_000

/**
 * Who a certificate under the control plane's CA belongs to, as its one SAN URI: a host, or the control plane itself.
 */
export const hostUri = (hostId: string) => `urn:cryptvisor:host:${hostId}`
export const controlPlaneUri = 'urn:cryptvisor:control-plane'

/** Stands beside `controlPlaneUri` in what the control plane shows to agents: of two control planes the higher one counts. */
export const epochUri = (epoch: number) => `${controlPlaneUri}:epoch:${epoch}`

/** The epoch of the control plane that a certificate's SAN URIs name, 0 where they name none; `null`: they are another's. */
export function epochOf(uris: readonly string[]): number | null {
  const [first, second, ...more] = uris
  if (first !== controlPlaneUri || more.length > 0) return null
  if (second === undefined) return 0
  const epoch = Number(/^urn:cryptvisor:control-plane:epoch:(\d{1,15})$/.exec(second)?.[1])
  return Number.isSafeInteger(epoch) ? epoch : null
}

/** One line of a session's answer. The epoch is that of the control plane. */
export const Heartbeat = Type.Object({
  heartbeat: Type.Integer({ minimum: 0 }),
  epoch: Type.Optional(Type.Integer({ minimum: 0 })),
})
export type Heartbeat = Static<typeof Heartbeat>
