import { createCipheriv, createDecipheriv } from 'node:crypto'
import { hkdf } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'

/** Where random bytes come from: `Secret.random` in a program, a seeded source in a simulation. */
export type RandomSource = (sizeBytes: number) => Secret

const algorithm = 'aes-256-gcm'
const keySizeBytes = 32
const nonceSizeBytes = 12
const saltSizeBytes = 32
const tagSizeBytes = 16

/** How much longer a sealed value is than what is in it. */
export const sealingOverheadBytes = saltSizeBytes + tagSizeBytes

/**
 * Seals `plaintext` under `key`: a salt, then AES-256-GCM (NIST SP 800-38D) under a key and nonce derived from `key` and
 * that salt by HKDF-SHA256. A salt of 32 random bytes does not come twice, so a key may seal any number of values;
 * random nonces of GCM's own size would end at 2^32.
 */
export function sealUnder(key: Secret, plaintext: Secret, associated: Uint8Array, random: RandomSource): Uint8Array {
  using saltSource = random(saltSizeBytes)
  const salt = saltSource.expose((bytes) => Uint8Array.from(bytes))
  using derived = derive(key, salt)
  return derived.expose((bytes) => {
    const cipher = createCipheriv(algorithm, bytes.subarray(0, keySizeBytes), bytes.subarray(keySizeBytes), {
      authTagLength: tagSizeBytes,
    })
    cipher.setAAD(associated)
    const body = plaintext.expose((content) => cipher.update(content))
    return Buffer.concat([salt, body, cipher.final(), cipher.getAuthTag()])
  })
}

/** Opens what `sealUnder` made. `null` when it does not authenticate: another key, other associated data, or damage. */
export function unsealUnder(key: Secret, sealed: Uint8Array, associated: Uint8Array): Secret | null {
  if (sealed.length < sealingOverheadBytes) return null
  const bodyEnd = sealed.length - tagSizeBytes
  using derived = derive(key, sealed.subarray(0, saltSizeBytes))
  return derived.expose((bytes) => {
    const decipher = createDecipheriv(algorithm, bytes.subarray(0, keySizeBytes), bytes.subarray(keySizeBytes), {
      authTagLength: tagSizeBytes,
    })
    decipher.setAAD(associated)
    decipher.setAuthTag(sealed.subarray(bodyEnd))
    const plaintext = decipher.update(sealed.subarray(saltSizeBytes, bodyEnd))
    try {
      decipher.final()
    } catch {
      // GCM decrypts before it authenticates; what it gave so far is nobody's business.
      plaintext.fill(0)
      return null
    }
    return Secret.from(plaintext)
  })
}

function derive(key: Secret, salt: Uint8Array): Secret {
  return hkdf(key, { salt, info: 'cryptvisor key-store sealing', sizeBytes: keySizeBytes + nonceSizeBytes })
}
