import { X509Certificate } from 'node:crypto'
import { PkiError } from '@cryptvisor/pki'
import { timeText } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { certificatesOf } from '../pem.ts'

/** RFC 5280, 4.2.1.12: id-kp-clientAuth, and anyExtendedKeyUsage. */
const clientUsages = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0']

/**
 * A client certificate that people hand in, PEM with its chain, checked for what a key server would refuse later with
 * fewer words. Throws `invalid`, naming `field`.
 */
export function clientCertificateOf(field: string, pem: string, now: number): string {
  const chain = certificatesOf(field, pem)
  const certificate = new X509Certificate(chain[0])
  const fail = (text: string) => new ControlPlaneError('invalid', `${field}: ${text}`, { field })
  if (certificate.validToDate.getTime() <= now) {
    throw fail(`the certificate expired on ${timeText(certificate.validToDate.getTime())}: get a new one`)
  }
  const usages = certificate.keyUsage
  // Declared as always there, and not there without the extension.
  if (Array.isArray(usages) && !usages.some((usage) => clientUsages.includes(usage))) {
    throw fail('the certificate is not for a client: it needs the extended key usage clientAuth')
  }
  return chain.join('')
}

/** Turns what the certificate library refuses into an error for the user. */
export async function orInvalid<Result>(field: string, make: () => Promise<Result>): Promise<Result> {
  try {
    return await make()
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    throw new ControlPlaneError('invalid', `${field}: ${cause.message}`, { field, cause })
  }
}
