import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { checkDataUnits, type DataUnitCipher, dataUnitSizeBytes } from './data-unit.ts'
import { type XtsCiphers, xtsCiphersFor } from './xts-key.ts'

/**
 * AES-XTS by one call of OpenSSL's own XTS for each data unit: slow, and the reference that the fast one is held against.
 * Keeps a copy of the key until disposed of. Throws a CryptoError for an unfit key.
 */
export class XtsUnits implements DataUnitCipher {
  readonly #key: Secret
  readonly #ciphers: XtsCiphers
  readonly #tweak = Buffer.alloc(16)

  constructor(key: Secret) {
    this.#ciphers = xtsCiphersFor(key)
    this.#key = key.clone()
  }

  encrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run(bytes, sector, target, createCipheriv)
  }

  decrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run(bytes, sector, target, createDecipheriv)
  }

  [Symbol.dispose](): void {
    this.#key[Symbol.dispose]()
  }

  #run(
    bytes: Uint8Array,
    sector: number,
    target: Uint8Array,
    create: typeof createCipheriv | typeof createDecipheriv,
  ): void {
    checkDataUnits(bytes, sector, target)
    this.#key.expose((key) => {
      for (let offset = 0; offset < bytes.length; offset += dataUnitSizeBytes) {
        this.#tweak.writeBigUInt64LE(BigInt(sector + offset / dataUnitSizeBytes))
        const cipher = create(this.#ciphers.xts, key, this.#tweak)
        target.set(cipher.update(bytes.subarray(offset, offset + dataUnitSizeBytes)), offset)
      }
    })
  }
}
