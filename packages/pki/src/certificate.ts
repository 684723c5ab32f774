import { X509Certificate } from 'node:crypto'
import { PkiError } from './pki-error.ts'
import { x509 } from './x509.ts'

/** What we say of a certificate. */
export interface CertificateInfo {
  /** First common name of the subject; `null` when it has none. */
  readonly commonName: string | null
  readonly subject: string
  readonly issuer: string
  /** Hexadecimal, upper case. */
  readonly serialNumber: string
  /** SHA-256 over DER, 64 hex digits in lower case. */
  readonly fingerprint256: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** SAN URIs. */
  readonly uris: readonly string[]
}

/** Reads a certificate, PEM or DER. Throws `PkiError` `bad-certificate`. */
export function readCertificate(source: string | Uint8Array): CertificateInfo {
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(source)
  } catch (cause) {
    throw new PkiError('bad-certificate', 'expected one certificate in PEM or DER', { cause })
  }
  return {
    commonName: new x509.X509Certificate(parsed.raw).subjectName.getField('CN')[0] ?? null,
    subject: parsed.subject.replaceAll('\n', ', '),
    issuer: parsed.issuer.replaceAll('\n', ', '),
    serialNumber: parsed.serialNumber,
    fingerprint256: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: parsed.validFromDate,
    notAfter: parsed.validToDate,
    uris: urisOf(parsed.subjectAltName ?? ''),
  }
}

/** Node joins alternative names with commas and quotes, as JSON, those that hold any. */
function urisOf(subjectAltName: string): string[] {
  const entries = subjectAltName.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? []
  return entries
    .map((entry) => entry.trim())
    .filter((entry) => entry.startsWith('URI:'))
    .map((entry) => {
      const value = entry.slice('URI:'.length)
      return value.startsWith('"') ? String(JSON.parse(value)) : value
    })
}
