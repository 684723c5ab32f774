import type { Secret } from '@cryptvisor/secret'
import { signingAlgorithm } from './algorithm.ts'
import { exportPrivateKey, generateKeyPair, type Identity, importPrivateKey } from './identity.ts'
import { nameOf } from './name.ts'
import { pemOf } from './pem.ts'
import { PkiError } from './pki-error.ts'
import { documentSigning } from './statement.ts'
import { x509 } from './x509.ts'

const dayMs = 86_400_000

/** A clock that runs a little behind its neighbour's must not find a new certificate «not yet valid». */
const clockSkewMs = 300_000

export interface Profile {
  /** Common name: one line of 1 to 64 characters. */
  readonly commonName: string
  readonly usages: readonly ('server' | 'client' | 'document-signing')[]
  /** Host names and IP addresses that the certificate shows as subject alternative names. */
  readonly hosts?: readonly string[]
  /** SAN URIs; our services say there who they are. */
  readonly uris?: readonly string[]
  readonly validDays: number
}

const usageOids = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
  'document-signing': documentSigning,
} as const

/** A small certificate authority: one self-signed ECDSA P-256 certificate, leaves directly under it (RFC 5280). */
export class CertificateAuthority {
  readonly certificate: string
  readonly #parsed: x509.X509Certificate
  readonly #signingKey: CryptoKey
  readonly #now: () => Date

  private constructor(certificate: x509.X509Certificate, signingKey: CryptoKey, now: () => Date) {
    this.certificate = pemOf(certificate)
    this.#parsed = certificate
    this.#signingKey = signingKey
    this.#now = now
  }

  /** Makes a new authority, valid for `validDays`; keep its `privateKey` sealed. */
  static async create(
    commonName: string,
    validDays: number,
    now: () => Date,
  ): Promise<{ authority: CertificateAuthority; privateKey: Secret }> {
    const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: nameOf(commonName),
      ...validity(now(), validDays),
      signingAlgorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return {
      authority: new CertificateAuthority(certificate, keys.privateKey, now),
      privateKey: await exportPrivateKey(keys.privateKey),
    }
  }

  /** Takes up an authority again from its certificate and its key. Throws `PkiError` when they are not readable. */
  static async load(certificate: string, privateKey: Secret, now: () => Date): Promise<CertificateAuthority> {
    try {
      return new CertificateAuthority(new x509.X509Certificate(certificate), importPrivateKey(privateKey), now)
    } catch (cause) {
      throw new PkiError('bad-certificate', 'the authority’s certificate or key cannot be read', { cause })
    }
  }

  /** Makes a key pair and a certificate for it. */
  async issue(profile: Profile): Promise<Identity> {
    const { keys, privateKey } = await generateKeyPair()
    const certificate = await this.#sign(profile, keys.publicKey)
    return { certificate, privateKey, [Symbol.dispose]: () => privateKey[Symbol.dispose]() }
  }

  /**
   * Signs a PKCS#10 request (RFC 2986): only its public key is taken, after its self-signature was checked; the names
   * are `profile`'s. Throws `PkiError` `bad-request`.
   */
  async signRequest(csr: string, profile: Profile): Promise<string> {
    let request: x509.Pkcs10CertificateRequest
    let valid = false
    try {
      request = new x509.Pkcs10CertificateRequest(csr)
      valid = await request.verify()
    } catch (cause) {
      throw new PkiError('bad-request', 'csr: is not a PKCS#10 request in PEM', { cause })
    }
    if (!valid) throw new PkiError('bad-request', 'csr: its signature is not that of its own key')
    return this.#sign(profile, request.publicKey)
  }

  /** Signs `bytes` with the authority's own key: ECDSA with SHA-256, DER, as `openssl dgst -sha256 -verify` checks it. */
  async signBytes(bytes: Uint8Array): Promise<Uint8Array> {
    const signature = await crypto.subtle.sign(signingAlgorithm, this.#signingKey, Uint8Array.from(bytes))
    const der = new x509.AsnEcSignatureFormatter().toAsnSignature(signingAlgorithm, signature)
    if (der === null) throw new PkiError('bad-certificate', 'the authority’s key made no ECDSA signature')
    return new Uint8Array(der)
  }

  async #sign(profile: Profile, publicKey: x509.PublicKeyType): Promise<string> {
    const names = [
      ...(profile.hosts ?? []).map((host) =>
        isAddress(host) ? { type: 'ip' as const, value: host } : { type: 'dns' as const, value: host },
      ),
      ...(profile.uris ?? []).map((value) => ({ type: 'url' as const, value })),
    ]
    const usages = profile.usages.map((usage) => usageOids[usage])
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: nameOf(profile.commonName),
      issuer: this.#parsed.subjectName,
      ...validity(this.#now(), profile.validDays),
      signingAlgorithm,
      publicKey,
      signingKey: this.#signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#parsed.publicKey),
      ],
    })
    return pemOf(certificate)
  }
}

/** A host name never has a colon, and never digits and dots alone (RFC 1123, 2.1). */
function isAddress(host: string): boolean {
  return host.includes(':') || /^[0-9.]+$/.test(host)
}

/** From a little before now on. */
export function validity(now: Date, validDays: number): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - clockSkewMs),
    notAfter: new Date(now.getTime() + validDays * dayMs),
  }
}

/** RFC 5280, 4.1.2.2: positive, at most 20 octets, not to be guessed. */
export function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}
