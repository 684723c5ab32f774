import type { TlsOptions } from 'node:tls'
import type { Secret } from '@cryptvisor/secret'
import type { ServerLimits } from '../server-limits.ts'

/** Whom the server is, and whom it believes. */
export interface ServerIdentity {
  /** The server's certificate and those above it, PEM. */
  readonly certificate: string
  /** Its private key, PEM. */
  readonly privateKey: Secret
  /** The one CA under which clients' certificates stand, PEM. */
  readonly clientCa: string
  /** Takes suites without AEAD too, for old appliances (KMIP profiles 1.x); off unless said otherwise. */
  readonly isLegacy?: boolean
}

const suites = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
]

/** The last two are what vCenter 7 chose where the server's key is RSA. */
const legacySuites = [
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'AES256-SHA256',
  'AES128-SHA256',
]

/** TLS 1.2 and 1.3, and no byte of a message before a client certificate was shown and checked. */
export function tlsOptions(identity: ServerIdentity, key: Uint8Array, limits: ServerLimits): TlsOptions {
  return {
    cert: identity.certificate,
    key: Buffer.from(key.buffer, key.byteOffset, key.length),
    ca: identity.clientCa,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: [...suites, ...(identity.isLegacy === true ? legacySuites : [])].join(':'),
    honorCipherOrder: true,
    handshakeTimeout: limits.handshakeTimeoutMs,
  }
}
