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
