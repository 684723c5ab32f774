import { createCipheriv, createDecipheriv } from 'node:crypto'
import { CryptoError } from './crypto-error.ts'
import { checkDataUnits, type DataUnitCipher, type DataUnitSizeBytes, dataUnitSizeBytes } from './data-unit.ts'
import { blockSizeBytes, type XtsKey } from './xts-key.ts'

/** AES-XTS by one call of OpenSSL's own XTS for each data unit: slow, and the reference that the fast ones are held against. */
export class XtsUnits implements DataUnitCipher {
  readonly unitSizeBytes: DataUnitSizeBytes
  readonly core = 'units'
  #key: XtsKey | null
  readonly #tweak = Buffer.alloc(blockSizeBytes)

  constructor(key: XtsKey, unitSizeBytes: DataUnitSizeBytes) {
    this.#key = key
    this.unitSizeBytes = unitSizeBytes
  }

  encrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run(bytes, sector, target, createCipheriv)
  }

  decrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run(bytes, sector, target, createDecipheriv)
  }

  [Symbol.dispose](): void {
    this.#key = null
  }

  #run(
    bytes: Uint8Array,
    sector: number,
    target: Uint8Array,
    create: typeof createCipheriv | typeof createDecipheriv,
  ): void {
    checkDataUnits(this.unitSizeBytes, bytes, sector, target)
    const key = this.#key
    if (key === null) throw new CryptoError('disposed', 'this cipher was disposed of')
    for (let offset = 0; offset < bytes.length; offset += this.unitSizeBytes) {
      this.#tweak.writeBigUInt64LE(BigInt(sector + offset / dataUnitSizeBytes))
      const cipher = create(key.ciphers.xts, key.both, this.#tweak)
      target.set(cipher.update(bytes.subarray(offset, offset + this.unitSizeBytes)), offset)
    }
  }
}
