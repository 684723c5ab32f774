import type { Secret } from '@cryptvisor/secret'

/** Where a KMIP server is, how it is known to be the right one, and who we are to it. */
export interface ServerOptions {
  readonly host: string
  /** 5696 where the administrator says nothing else. */
  readonly port: number
  /** Certificates of authorities, PEM, any number: the server's certificate must come from one of them. */
  readonly caPem?: string
  /**
   * The SHA-256 fingerprint of the server's own certificate, 64 hexadecimal digits, colons allowed. With it the
   * certificate is known exactly, and its names and dates do not count. One of `caPem` and this must be given.
   */
  readonly fingerprint256?: string
  /** Our certificate, and those between it and its authority, PEM. */
  readonly clientCertificatePem: string
  /** Our private key, PEM. It is read when the client is made; the secret stays the caller's. */
  readonly clientKey: Secret
}

/** How long to wait and how much to take. */
export interface ClientLimits {
  /** TCP connection and TLS handshake together. */
  readonly connectTimeoutMs: number
  /** From the first byte of a request to the last of its answer. */
  readonly requestTimeoutMs: number
  /** After that long without a request the connection is closed. */
  readonly idleTimeoutMs: number
  readonly responseSizeMax: number
  /** How many requests may wait for the connection. */
  readonly waitingRequestsMax: number
}

export const defaultClientLimits: ClientLimits = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 15_000,
  responseSizeMax: 4_194_304,
  waitingRequestsMax: 1000,
}
