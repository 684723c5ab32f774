import { hkdfSync } from 'node:crypto'
import { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'

/** RFC 5869, 2.3: at most 255 outputs of the hash. */
const outputSizeMax = 255 * 32

/** What HKDF binds its output to, and how long that is. */
export interface HkdfParameters {
  /** RFC 5869, 3.1; none means a salt of zeros. */
  readonly salt?: Uint8Array
  /** RFC 5869, 3.2: what the derived key is for. Text is taken as UTF-8. */
  readonly info: Uint8Array | string
  /** How many bytes to derive, 1 to 8160. */
  readonly sizeBytes: number
}

/** HKDF-SHA256 (RFC 5869): derives a new key from `key`. Throws a CryptoError `data-size` for an impossible size. */
export function hkdf(key: Secret, { salt = new Uint8Array(), info, sizeBytes }: HkdfParameters): Secret {
  if (!Number.isInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > outputSizeMax) {
    throw new CryptoError('data-size', `HKDF-SHA256 derives 1 to ${outputSizeMax} bytes, not ${sizeBytes}`)
  }
  return key.expose((bytes) => Secret.from(new Uint8Array(hkdfSync('sha256', bytes, salt, info, sizeBytes))))
}
