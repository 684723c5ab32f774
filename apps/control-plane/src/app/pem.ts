import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { ControlPlaneError } from './control-plane-error.ts'

const certificatesMax = 32

/**
 * The certificates in an input, PEM, with nothing between them: what else was pasted with them, such as a key, is not
 * kept. Throws `invalid`, naming `field`.
 */
export function certificatesOf(field: string, input: string): readonly [string, ...string[]] {
  const blocks = input.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const [first, ...rest] = blocks.slice(0, certificatesMax).map((block, index) => {
    try {
      return new X509Certificate(block).toString()
    } catch (cause) {
      throw invalid(field, `certificate ${index + 1} cannot be read`, cause)
    }
  })
  if (first === undefined) throw invalid(field, 'expected certificates in PEM')
  if (blocks.length > certificatesMax) throw invalid(field, `has more than ${certificatesMax} certificates`)
  return [first, ...rest]
}

/**
 * Reads a private key from PEM, and no string is made of it. Throws `invalid`, naming `field` and never saying what was
 * in it.
 */
export function readPrivateKey(field: string, pem: Secret): KeyObject {
  try {
    return pem.expose((bytes) =>
      createPrivateKey({ key: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), format: 'pem' }),
    )
  } catch (error) {
    // Not passed on as the cause: nothing that was made from a key goes to a log.
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    throw invalid(
      field,
      code === 'ERR_MISSING_PASSPHRASE'
        ? 'is under a passphrase: give it without one; it is sealed here'
        : 'expected a private key in PEM',
    )
  }
}

/** Checks that a private key, PEM, is the one of `certificate`. Throws `invalid`, naming `field`. */
export function checkPrivateKey(field: string, pem: Secret, certificate: string): void {
  if (!new X509Certificate(certificate).checkPrivateKey(readPrivateKey(field, pem))) {
    throw invalid(field, 'is not the key of the client certificate: send the one that belongs to it')
  }
}

function invalid(field: string, message: string, cause?: unknown): ControlPlaneError {
  return new ControlPlaneError('invalid', `${field}: ${message}`, { field, cause })
}
