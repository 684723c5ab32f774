import { timingSafeEqual } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'

/** A block of AES, in bytes. */
export const blockSizeBytes = 16

/** OpenSSL's names for the ciphers of one XTS key, and the size of each of its halves. */
export interface XtsCiphers {
  readonly xts: 'aes-256-xts' | 'aes-128-xts'
  readonly ecb: 'aes-256-ecb' | 'aes-128-ecb'
  readonly halfSizeBytes: number
}

/**
 * Chooses the ciphers for an XTS key (IEEE 1619, 5.1: data key, then tweak key). Throws a CryptoError: `key-size` unless
 * it has 64 or 32 bytes, `weak-key` when its halves are equal (SP 800-38E and OpenSSL refuse such a key).
 */
export function xtsCiphersFor(key: Secret): XtsCiphers {
  if (key.sizeBytes !== 64 && key.sizeBytes !== 32) {
    throw new CryptoError('key-size', `an XTS key has 64 bytes (AES-256) or 32 bytes (AES-128), not ${key.sizeBytes}`)
  }
  const halfSizeBytes = key.sizeBytes / 2
  if (key.expose((bytes) => timingSafeEqual(bytes.subarray(0, halfSizeBytes), bytes.subarray(halfSizeBytes)))) {
    throw new CryptoError('weak-key', 'the two halves of an XTS key are equal')
  }
  return key.sizeBytes === 64
    ? { xts: 'aes-256-xts', ecb: 'aes-256-ecb', halfSizeBytes }
    : { xts: 'aes-128-xts', ecb: 'aes-128-ecb', halfSizeBytes }
}
