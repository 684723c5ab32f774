import { Secret } from '@cryptvisor/secret'
import { signingAlgorithm } from './algorithm.ts'
import { x509 } from './x509.ts'

/** A certificate and its private key, both PEM; what a TLS side shows to its peer. */
export interface Identity extends Disposable {
  readonly certificate: string
  /** PKCS#8, PEM. */
  readonly privateKey: Secret
}

/** Makes an ECDSA P-256 key pair (FIPS 186-5) and gives its private key as PKCS#8 PEM. */
export async function generateKeyPair(): Promise<{ keys: CryptoKeyPair; privateKey: Secret }> {
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
  return { keys, privateKey: await exportPrivateKey(keys.privateKey) }
}

/** Gives a private key as PKCS#8 PEM. */
export async function exportPrivateKey(key: CryptoKey): Promise<Secret> {
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', key))
  const base64 = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length).toString('base64')
  pkcs8.fill(0)
  const lines = base64.match(/.{1,64}/g) ?? []
  return Secret.from(Buffer.from(`-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`))
}

/** Reads an ECDSA P-256 private key from PKCS#8 PEM. Throws when it is something else. */
export async function importPrivateKey(pem: Secret): Promise<CryptoKey> {
  return pem.expose(async (bytes) => {
    const der = x509.PemConverter.decodeFirst(Buffer.from(bytes).toString('latin1'))
    const key = await crypto.subtle.importKey('pkcs8', der, signingAlgorithm, true, ['sign'])
    new Uint8Array(der).fill(0)
    return key
  })
}
