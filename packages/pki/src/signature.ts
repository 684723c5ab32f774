import { verify, X509Certificate } from 'node:crypto'

/** Whether `signature` is `CertificateAuthority.signBytes` of `bytes`, by the key of `certificate` (PEM). `false` for what is none. */
export function isSignedBy(certificate: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify('sha256', bytes, new X509Certificate(certificate).publicKey, signature)
  } catch {
    return false
  }
}
