import { createCipheriv, createDecipheriv } from 'node:crypto'
import { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'

/** The largest key that we wrap, in bytes. */
const wrappableSizeMax = 65_536

/** RFC 3394, 2.2.3.1: what an intact key yields in front. */
const initialValue = new Uint8Array(8).fill(0xa6)

/**
 * AES key wrap (RFC 3394, 2.2.1) of `key` under `kek`. Throws a CryptoError: `key-size` unless `kek` has 16, 24 or 32
 * bytes, `data-size` unless `key` has at least 16 bytes, in multiples of 8.
 */
export function wrapKey(kek: Secret, key: Secret): Uint8Array {
  const algorithm = algorithmFor(kek)
  checkSize('a key to wrap', key.sizeBytes, 16, wrappableSizeMax)
  return kek.expose((kekBytes) =>
    key.expose((bytes) => {
      const cipher = createCipheriv(algorithm, kekBytes, initialValue)
      return Uint8Array.from(Buffer.concat([cipher.update(bytes), cipher.final()]))
    }),
  )
}

/**
 * Inverts `wrapKey` (RFC 3394, 2.2.2). Throws a CryptoError: `integrity` when `wrapped` was not made under this `kek` or
 * is damaged, `key-size` and `data-size` for impossible sizes.
 */
export function unwrapKey(kek: Secret, wrapped: Uint8Array): Secret {
  const algorithm = algorithmFor(kek)
  checkSize('a wrapped key', wrapped.length, 24, wrappableSizeMax + 8)
  return kek.expose((kekBytes) => {
    const decipher = createDecipheriv(algorithm, kekBytes, initialValue)
    try {
      const plaintext = decipher.update(wrapped)
      decipher.final()
      return Secret.from(plaintext)
    } catch (cause) {
      throw new CryptoError('integrity', `a wrapped key of ${wrapped.length} bytes does not open with this KEK`, {
        cause,
      })
    }
  })
}

function algorithmFor(kek: Secret): 'id-aes128-wrap' | 'id-aes192-wrap' | 'id-aes256-wrap' {
  switch (kek.sizeBytes) {
    case 16:
      return 'id-aes128-wrap'
    case 24:
      return 'id-aes192-wrap'
    case 32:
      return 'id-aes256-wrap'
    default:
      throw new CryptoError('key-size', `a KEK has 16, 24 or 32 bytes, not ${kek.sizeBytes}`)
  }
}

function checkSize(what: string, sizeBytes: number, sizeMin: number, sizeMax: number): void {
  if (sizeBytes < sizeMin || sizeBytes > sizeMax || sizeBytes % 8 !== 0) {
    throw new CryptoError('data-size', `${what} has ${sizeMin} to ${sizeMax} bytes in multiples of 8, not ${sizeBytes}`)
  }
}
