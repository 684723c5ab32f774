import { X509Certificate } from 'node:crypto'
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { fingerprintOf, otherCertificateError, untrustedError } from './connection-error.ts'
import { KmipClientError } from './kmip-client-error.ts'
import type { ServerOptions } from './server-options.ts'

/** How a connection is secured, and how the server is checked once the handshake is over. */
export interface Trust {
  readonly tls: ConnectionOptions
  /** Throws a KmipClientError `tls-failed` when the server is not the trusted one; call it once, before anything is sent. Gives its certificate. */
  check(socket: TLSSocket, place: string): X509Certificate
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
      // Node verifies all the same, and `check` looks at what it found before anything is sent: there it can be said
      // what the server showed.
      rejectUnauthorized: false,
      checkServerIdentity: pinned === null ? checkServerIdentity : () => undefined,
    },
    check: (socket, place) => {
      // Asked for once: Node takes it out of the chain, and gives its issuer's the next time.
      const shown = socket.getPeerX509Certificate()
      if (shown === undefined) throw new KmipClientError('tls-failed', `${place} shows no certificate`)
      // Without an authority the fingerprint alone decides.
      if (options.caPem !== undefined && !socket.authorized) {
        throw untrustedError(shown, codeOf(socket.authorizationError), place)
      }
      if (pinned !== null && fingerprintOf(shown) !== pinned) throw otherCertificateError(shown, pinned, place)
      return shown
    },
  }
}

function pinnedFingerprint(options: ServerOptions): string | null {
  if (options.fingerprint256 === undefined) return null
  const digits = options.fingerprint256.replaceAll(':', '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(digits)) return digits
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

/** Node gives a code of OpenSSL's as a text, and a wrong name as an error. */
function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return String(error)
}
