import { createPrivateKey } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { signingAlgorithm } from './algorithm.ts'
import { secretPem } from './secret-pem.ts'

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
  return secretPem('PRIVATE KEY', new Uint8Array(await crypto.subtle.exportKey('pkcs8', key)))
}

/** Reads an ECDSA P-256 private key from PEM, for signing alone. Throws when it is something else. */
export function importPrivateKey(pem: Secret): CryptoKey {
  return pem.expose((bytes) => {
    const key = createPrivateKey({ key: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), format: 'pem' })
    // The one class under two declarations: Node's own knows usages that are newer than the DOM's.
    return key.toCryptoKey(signingAlgorithm, false, ['sign']) as CryptoKey
  })
}
