import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { hkdf } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { sealKeySizeBytes } from './binding.ts'
import { SealedFileError } from './sealed-file-error.ts'

/**
 * The format is Tink's AES-GCM-HKDF streaming AEAD (https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming),
 * key template AES256_GCM_HKDF_1MB: any Tink opens a sealed file with the key and the associated data.
 */
export const segmentSizeBytes = 1_048_576

export const tagSizeBytes = 16
export const saltSizeBytes = 32
export const noncePrefixSizeBytes = 7

/** Its own length in one byte, the salt, the nonce prefix. */
export const headerSizeBytes = 1 + saltSizeBytes + noncePrefixSizeBytes

/** A nonce counts segments in 32 bits. */
const segmentCountMax = 0x1_0000_0000

/** How many bytes of plaintext segment `index` takes: the first shares its room with the header. */
export function plaintextSizeOf(index: number): number {
  return segmentSizeBytes - tagSizeBytes - (index === 0 ? headerSizeBytes : 0)
}

/** What a key and associated data stand for: the parameters of one sealed file. */
export interface Binding {
  /** 32 bytes, for instance `homeKeyOf(dek)`. */
  readonly key: Secret
  /** Bound to the file but not in it, for instance `associatedDataOf(vmId, path)`. */
  readonly associatedData: Uint8Array
}

/** Seals and opens the segments of one file, each under a nonce of its number and whether it is the last. */
export class Segments {
  readonly #key: KeyObject
  readonly #noncePrefix: Uint8Array

  /** Derives the file's own key: HKDF-SHA256 with the salt, and with the associated data as info. */
  constructor({ key, associatedData }: Binding, salt: Uint8Array, noncePrefix: Uint8Array) {
    if (key.sizeBytes !== sealKeySizeBytes) {
      throw new SealedFileError(
        'key-size',
        `a key that seals files has ${sealKeySizeBytes} bytes, not ${key.sizeBytes}`,
      )
    }
    using fileKey = hkdf(key, { salt, info: associatedData, sizeBytes: sealKeySizeBytes })
    this.#key = fileKey.expose((bytes) => createSecretKey(bytes))
    this.#noncePrefix = noncePrefix
  }

  /** The segments of a file that begins with `header`. Throws a SealedFileError `bad-header` or `key-size`. */
  static fromHeader(binding: Binding, header: Uint8Array): Segments {
    if (header[0] !== headerSizeBytes) {
      throw new SealedFileError('bad-header', `a sealed file begins with the byte ${headerSizeBytes}, not ${header[0]}`)
    }
    const noncePrefixStart = 1 + saltSizeBytes
    // Copies: the header may lie in memory that its owner uses again.
    return new Segments(
      binding,
      Uint8Array.from(header.subarray(1, noncePrefixStart)),
      Uint8Array.from(header.subarray(noncePrefixStart, headerSizeBytes)),
    )
  }

  /** Ciphertext and tag of one segment. */
  seal(plaintext: Uint8Array, index: number, last: boolean): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonce(index, last))
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
  }

  /** Plaintext of one segment, or a SealedFileError `not-authentic`. */
  unseal(ciphertext: Uint8Array, index: number, last: boolean): Uint8Array {
    const end = ciphertext.length - tagSizeBytes
    const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nonce(index, last), {
      authTagLength: tagSizeBytes,
    })
    decipher.setAuthTag(ciphertext.subarray(end))
    const plaintext = decipher.update(ciphertext.subarray(0, end))
    try {
      decipher.final()
    } catch (cause) {
      plaintext.fill(0)
      throw new SealedFileError(
        'not-authentic',
        `segment ${index}${last ? ', the last one,' : ''} of a sealed file is not authentic: it was changed, cut or moved, or the key or the place is another`,
        { cause },
      )
    }
    return plaintext
  }

  #nonce(index: number, last: boolean): Uint8Array {
    if (index >= segmentCountMax)
      throw new SealedFileError('too-large', `a sealed file has at most ${segmentCountMax} segments`)
    const nonce = Buffer.alloc(noncePrefixSizeBytes + 5)
    nonce.set(this.#noncePrefix)
    nonce.writeUInt32BE(index, noncePrefixSizeBytes)
    nonce[noncePrefixSizeBytes + 4] = last ? 1 : 0
    return nonce
  }
}
