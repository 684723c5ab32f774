import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto'
import { type CertificateInfo, readCertificate } from './certificate.ts'
import type { Identity } from './identity.ts'
import { PkiError } from './pki-error.ts'

/** id-kp-documentSigning (RFC 9336): whoever shows a certificate without it signs no statements. */
export const documentSigning = '1.3.6.1.5.5.7.3.36'

/** The largest statement that is read. */
const statementSizeMax = 16_777_216

/** A statement, and who signed it. */
export interface VerifiedStatement {
  readonly payload: unknown
  readonly signer: CertificateInfo
}

/**
 * Signs a JSON value as a JSON Web Signature with ES256 (RFC 7515, flattened serialization); the signer's certificate and
 * that of `ca` are in its header `x5c`. `type` is its `typ`. Any JOSE library checks it.
 */
export function signStatement(signer: Identity, ca: string, type: string, payload: object): string {
  const chain = [signer.certificate, ca].map((pem) => new X509Certificate(pem).raw.toString('base64'))
  const header = base64url(Buffer.from(JSON.stringify({ alg: 'ES256', typ: type, x5c: chain })))
  const body = base64url(Buffer.from(JSON.stringify(payload)))
  const signature = signer.privateKey.expose((bytes) => {
    const key = createPrivateKey({ key: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), format: 'pem' })
    // RFC 7518, 3.4: R and S side by side.
    return sign('sha256', Buffer.from(`${header}.${body}`), { key, dsaEncoding: 'ieee-p1363' })
  })
  return `${JSON.stringify({ payload: body, protected: header, signature: base64url(signature) }, null, 2)}\n`
}

/**
 * Checks a statement that `signStatement` made, or the same in the compact serialization, without asking anybody: its
 * signature, and that its signer's certificate was made by `ca` (PEM) for signing documents. Throws `PkiError`
 * `bad-statement`.
 */
export function verifyStatement(text: string, ca: string, type: string): VerifiedStatement {
  if (text.length > statementSizeMax) throw bad(`has more than ${statementSizeMax} characters`)
  const { header, body, signature } = partsOf(text)
  const { alg, typ, x5c } = objectOf(header, 'its header')
  if (alg !== 'ES256') throw bad(`is signed with ${String(alg)}, not ES256`)
  if (typ !== type) throw bad(`is a ${String(typ)}, not a ${type}`)
  const [first] = Array.isArray(x5c) ? (x5c as unknown[]) : []
  if (typeof first !== 'string') throw bad('does not name its signer’s certificate')
  const signer = certificateOf(Buffer.from(first, 'base64'), 'its signer’s certificate')
  const authority = certificateOf(ca, 'the certificate of the CA')
  if (!signer.checkIssued(authority) || !signer.verify(authority.publicKey)) {
    throw bad('was signed by somebody whose certificate is not from this CA')
  }
  if (signer.ca || !(signer.keyUsage ?? []).includes(documentSigning)) {
    throw bad('was signed with a certificate that is not for signing documents')
  }
  const signed = Buffer.from(`${header}.${body}`)
  const key = { key: signer.publicKey, dsaEncoding: 'ieee-p1363' } as const
  if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) throw bad('was changed after it was signed')
  return { payload: objectOf(body, 'its content'), signer: readCertificate(signer.raw) }
}

interface Parts {
  readonly header: string
  readonly body: string
  readonly signature: string
}

/** The two serializations of one signature (RFC 7515, 7.1 and 7.2.2). */
function partsOf(text: string): Parts {
  const compact = /^\s*([\w-]+)\.([\w-]+)\.([\w-]+)\s*$/.exec(text)
  if (compact !== null) return { header: compact[1] ?? '', body: compact[2] ?? '', signature: compact[3] ?? '' }
  const { protected: header, payload: body, signature } = jsonOf(text, 'it')
  if (typeof header === 'string' && typeof body === 'string' && typeof signature === 'string') {
    return { header, body, signature }
  }
  throw bad('is no JSON Web Signature')
}

function objectOf(part: string, what: string): Readonly<Record<string, unknown>> {
  return jsonOf(Buffer.from(part, 'base64url').toString('utf8'), what)
}

function jsonOf(text: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw bad(`is no JSON Web Signature: ${what} is not JSON`, cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad(`is no JSON Web Signature: ${what} is no object`)
  // Its members are checked where they are used.
  return value as Readonly<Record<string, unknown>>
}

function certificateOf(source: string | Uint8Array, what: string): X509Certificate {
  try {
    return new X509Certificate(source)
  } catch (cause) {
    throw bad(`cannot be checked: ${what} cannot be read`, cause)
  }
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

function bad(why: string, cause?: unknown): PkiError {
  return new PkiError('bad-statement', `the statement ${why}`, { cause })
}
