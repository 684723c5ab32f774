import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'
import { checkDataUnits, type DataUnitCipher, type DataUnitSizeBytes, dataUnitSizeBytes } from './data-unit.ts'
import { blockSizeBytes, type XtsCiphers, xtsCiphersFor } from './xts-key.ts'

/**
 * AES-XTS by one call of OpenSSL's own XTS for each data unit: slow, and the reference that the fast ones are held against.
 * Keeps a copy of the key until disposed of. Throws a CryptoError for an unfit key.
 */
export class XtsUnits implements DataUnitCipher {
  readonly unitSizeBytes: DataUnitSizeBytes
  readonly core = 'units'
  readonly #key: Secret
  readonly #ciphers: XtsCiphers
  readonly #tweak = Buffer.alloc(blockSizeBytes)

  constructor(key: Secret, unitSizeBytes: DataUnitSizeBytes) {
    this.#ciphers = xtsCiphersFor(key)
    this.#key = key.clone()
    this.unitSizeBytes = unitSizeBytes
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
    checkDataUnits(this.unitSizeBytes, bytes, sector, target)
    if (this.#key.wiped) throw new CryptoError('disposed', 'this cipher was disposed of')
    this.#key.expose((key) => {
      for (let offset = 0; offset < bytes.length; offset += this.unitSizeBytes) {
        this.#tweak.writeBigUInt64LE(BigInt(sector + offset / dataUnitSizeBytes))
        const cipher = create(this.#ciphers.xts, key, this.#tweak)
        target.set(cipher.update(bytes.subarray(offset, offset + this.unitSizeBytes)), offset)
      }
    })
  }
}
