import { X509Certificate } from 'node:crypto'
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { KmipClientError } from './kmip-client-error.ts'
import type { ServerOptions } from './server-options.ts'

/** How a connection is secured, and how the server is checked once the handshake is over. */
export interface Trust {
  readonly tls: ConnectionOptions
  /** Throws a KmipClientError `tls-failed` when the server is another than the pinned one. */
  check(socket: TLSSocket): void
}

/** Reads certificates and key. Throws a KmipClientError `invalid-options`. */
export function createTrust(options: ServerOptions): Trust {
  const pinned = pinnedFingerprint(options)
  if (options.caPem === undefined && pinned === null) {
    throw new KmipClientError(
      'invalid-options',
      'caPem or fingerprint256 is missing: give the authority of the server’s certificate or its SHA-256 fingerprint',
    )
  }
  return {
    tls: {
      secureContext: secureContext(options),
      minVersion: 'TLSv1.2',
      // Without an authority the fingerprint alone decides, in `check`, before anything is sent.
      rejectUnauthorized: options.caPem !== undefined,
      checkServerIdentity: pinned === null ? checkServerIdentity : () => undefined,
    },
    check: (socket) => checkPin(socket, pinned),
  }
}

function pinnedFingerprint(options: ServerOptions): string | null {
  if (options.fingerprint256 === undefined) return null
  const digits = options.fingerprint256.replaceAll(':', '').toUpperCase()
  if (/^[0-9A-F]{64}$/.test(digits)) return digits
  throw new KmipClientError('invalid-options', 'fingerprint256 must have 64 hexadecimal digits, with or without colons')
}

function secureContext(options: ServerOptions): SecureContext {
  if (options.caPem !== undefined) checkCertificate('caPem', options.caPem)
  checkCertificate('clientCertificatePem', options.clientCertificatePem)
  try {
    return options.clientKey.expose((key) =>
      createSecureContext({
        ...(options.caPem === undefined ? {} : { ca: options.caPem }),
        cert: options.clientCertificatePem,
        // A view, no copy.
        key: Buffer.from(key.buffer, key.byteOffset, key.length),
        minVersion: 'TLSv1.2',
      }),
    )
  } catch (cause) {
    throw new KmipClientError('invalid-options', 'clientKey must be the PEM private key of clientCertificatePem', {
      cause,
    })
  }
}

/** OpenSSL takes texts without a certificate in silence. */
function checkCertificate(field: string, pem: string): void {
  try {
    new X509Certificate(pem)
  } catch (cause) {
    throw new KmipClientError('invalid-options', `${field} must hold a certificate in PEM`, { cause })
  }
}

function checkPin(socket: TLSSocket, pinned: string | null): void {
  if (pinned === null) return
  const found = socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '')
  if (found === pinned) return
  throw new KmipClientError(
    'tls-failed',
    `the server’s certificate has the fingerprint ${found}, not the trusted one; trust the new one only when you know why it changed`,
  )
}
