import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'

/** A block of AES, in bytes. */
export const blockSizeBytes = 16

/** OpenSSL's names for the ciphers of one XTS key. */
export interface XtsCiphers {
  readonly xts: 'aes-256-xts' | 'aes-128-xts'
  readonly ecb: 'aes-256-ecb' | 'aes-128-ecb'
}

/**
 * An XTS key as OpenSSL takes it (IEEE 1619, 5.1: data key, then tweak key). The copies of the key are OpenSSL's, which
 * cleanses them when the garbage collector finds them; from bytes, a cipher object would take eight times as long to make.
 */
export interface XtsKey {
  readonly ciphers: XtsCiphers
  readonly both: KeyObject
  readonly data: KeyObject
  readonly tweak: KeyObject
}

/**
 * Takes an XTS key apart. Throws a CryptoError: `key-size` unless it has 64 or 32 bytes, `weak-key` when its halves are equal
 * (SP 800-38E and OpenSSL refuse such a key).
 */
export function xtsKeyOf(key: Secret): XtsKey {
  if (key.sizeBytes !== 64 && key.sizeBytes !== 32) {
    throw new CryptoError('key-size', `an XTS key has 64 bytes (AES-256) or 32 bytes (AES-128), not ${key.sizeBytes}`)
  }
  const ciphers: XtsCiphers =
    key.sizeBytes === 64 ? { xts: 'aes-256-xts', ecb: 'aes-256-ecb' } : { xts: 'aes-128-xts', ecb: 'aes-128-ecb' }
  return key.expose((bytes) => {
    const [data, tweak] = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)]
    if (timingSafeEqual(data, tweak)) throw new CryptoError('weak-key', 'the two halves of an XTS key are equal')
    return { ciphers, both: createSecretKey(bytes), data: createSecretKey(data), tweak: createSecretKey(tweak) }
  })
}
