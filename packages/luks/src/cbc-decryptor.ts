import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv, hash } from 'node:crypto'
import type { DataUnitSizeBytes } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { checkDataUnits } from './check-data-units.ts'
import type { CipherSpec } from './cipher-spec.ts'
import type { DataUnitDecryptor, DecryptorOptions } from './data-unit-decryptor.ts'
import { sectorSizeBytes } from './header-layout.ts'
import { LuksError } from './luks-error.ts'

const blockSizeBytes = 16
const ecbNames: Readonly<Record<number, string>> = { 16: 'aes-128-ecb', 24: 'aes-192-ecb', 32: 'aes-256-ecb' }

/** The most that one call of OpenSSL is given, so that its output stays small. */
const batchSizeBytes = 131_072

/**
 * AES-CBC over data units as dm-crypt writes them, to read only. Every block is decrypted by itself and then XORed with
 * the ciphertext before it, so that one call of OpenSSL does many units; the first block of a unit is XORed with its IV.
 */
export class CbcDecryptor implements DataUnitDecryptor {
  readonly #unitSizeBytes: DataUnitSizeBytes
  readonly #ivTweak: number
  readonly #tweak: CipherSpec['tweak']
  #decipher: Decipheriv | null
  /** Encrypts sector numbers for ESSIV, under the hash of the volume key; null for the other ways. */
  #essiv: Cipheriv | null

  constructor(
    key: Secret,
    { tweak, unitSizeBytes, ivTweak }: Omit<DecryptorOptions, 'cipher'> & Pick<CipherSpec, 'tweak'>,
  ) {
    const name = ecbNames[key.sizeBytes]
    if (name === undefined) throw new LuksError('bad-key-size', `AES has no key of ${key.sizeBytes} bytes`)
    this.#unitSizeBytes = unitSizeBytes
    this.#ivTweak = ivTweak
    this.#tweak = tweak
    this.#decipher = key.expose((bytes) => createDecipheriv(name, bytes, null).setAutoPadding(false))
    this.#essiv = tweak === 'essiv' ? key.expose(essivOf) : null
  }

  decrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    checkDataUnits({ unitSizeBytes: this.#unitSizeBytes, ivTweak: this.#ivTweak }, bytes, sector, target)
    for (let offset = 0; offset < bytes.length; offset += batchSizeBytes) {
      const end = Math.min(offset + batchSizeBytes, bytes.length)
      this.#decryptBatch(
        bytes.subarray(offset, end),
        sector + this.#ivTweak + offset / sectorSizeBytes,
        target.subarray(offset, end),
      )
    }
  }

  /** Frees OpenSSL's contexts with the key at the next garbage collection. */
  [Symbol.dispose](): void {
    this.#decipher = null
    this.#essiv = null
  }

  #decryptBatch(bytes: Uint8Array, sector: number, target: Uint8Array): void {
    if (this.#decipher === null) throw new Error('cipher was disposed of')
    const ivs = this.#ivsOf(sector, bytes.length / this.#unitSizeBytes)
    // The ciphertext, one block late: what each block is XORed with, once the IVs are in their places.
    const maskWords = new Int32Array(bytes.length / 4)
    const mask = new Uint8Array(maskWords.buffer)
    mask.set(bytes.subarray(0, bytes.length - blockSizeBytes), blockSizeBytes)
    for (let offset = 0, iv = 0; offset < bytes.length; offset += this.#unitSizeBytes, iv += blockSizeBytes) {
      mask.set(ivs.subarray(iv, iv + blockSizeBytes), offset)
    }
    const blocks = this.#decipher.update(bytes)
    const words = new Int32Array(bytes.length / 4)
    const plaintext = new Uint8Array(words.buffer)
    plaintext.set(blocks)
    xorWords(words, maskWords)
    target.set(plaintext)
    blocks.fill(0)
    plaintext.fill(0)
  }

  /** The IVs of `unitCount` units from `sector` on: its number little-endian, encrypted for ESSIV. */
  #ivsOf(sector: number, unitCount: number): Uint8Array {
    const numbers = Buffer.alloc(unitCount * blockSizeBytes)
    for (let unit = 0; unit < unitCount; unit++) {
      const number = sector + (unit * this.#unitSizeBytes) / sectorSizeBytes
      numbers.writeUInt32LE(number % 0x1_0000_0000, unit * blockSizeBytes)
      if (this.#tweak !== 'plain') {
        numbers.writeUInt32LE(Math.floor(number / 0x1_0000_0000), unit * blockSizeBytes + 4)
      }
    }
    return this.#essiv === null ? numbers : this.#essiv.update(numbers)
  }
}

/** ESSIV (encrypted salt-sector IV): AES-256 keyed with the SHA-256 of the volume key. */
function essivOf(key: Uint8Array): Cipheriv {
  const salt = hash('sha256', key, 'buffer')
  const cipher = createCipheriv('aes-256-ecb', salt, null).setAutoPadding(false)
  salt.fill(0)
  return cipher
}

function xorWords(target: Int32Array, mask: Int32Array): void {
  // Both have the same length; `?? 0` would cost a branch per word for nothing.
  for (let word = 0; word < target.length; word++) target[word] = (target[word] as number) ^ (mask[word] as number)
}
