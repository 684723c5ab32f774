import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { checkDataUnits, type DataUnitCipher, dataUnitSizeBytes } from './data-unit.ts'
import { xtsCiphersFor } from './xts-key.ts'

const blockSizeBytes = 16

/** Small enough for the first cache, and for malloc to serve the outputs without asking the kernel for each. */
const batchSizeBytes = 32_768

const batchUnitCount = batchSizeBytes / dataUnitSizeBytes
const unitWordCount = dataUnitSizeBytes / 4

interface Contexts {
  readonly encryptor: Cipheriv
  readonly decryptor: Decipheriv
  readonly tweaker: Cipheriv
}

/**
 * AES-XTS composed as IEEE 1619, 5.3 defines it, C = E1(P ^ T) ^ T, but for many data units per call of OpenSSL: one ECB
 * call encrypts the tweaks of a batch, one its masked blocks. Bit for bit the same as XTS, some ten times as fast from
 * JavaScript as a cipher object per unit; it is not OpenSSL's own XTS (and no validated module of it). Needs a
 * little-endian machine. The key lives in OpenSSL's contexts,
 * which are cleansed when they are freed.
 */
export class XtsBatch implements DataUnitCipher {
  #contexts: Contexts | null
  readonly #sectors = Buffer.alloc(batchUnitCount * blockSizeBytes)
  readonly #mask = new Int32Array(batchSizeBytes / 4)
  readonly #block = new Int32Array(batchSizeBytes / 4)

  constructor(key: Secret) {
    const { ecb, halfSizeBytes } = xtsCiphersFor(key)
    this.#contexts = key.expose((bytes) => {
      const dataKey = bytes.subarray(0, halfSizeBytes)
      return {
        encryptor: createCipheriv(ecb, dataKey, null).setAutoPadding(false),
        decryptor: createDecipheriv(ecb, dataKey, null).setAutoPadding(false),
        tweaker: createCipheriv(ecb, bytes.subarray(halfSizeBytes), null).setAutoPadding(false),
      }
    })
  }

  encrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run(bytes, sector, target, 'encryptor')
  }

  decrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run(bytes, sector, target, 'decryptor')
  }

  /** Frees OpenSSL's contexts with the key at the next garbage collection, and wipes the masks at once. */
  [Symbol.dispose](): void {
    this.#contexts = null
    this.#mask.fill(0)
    this.#block.fill(0)
  }

  #run(bytes: Uint8Array, sector: number, target: Uint8Array, use: 'encryptor' | 'decryptor'): void {
    checkDataUnits(bytes, sector, target)
    if (this.#contexts === null) throw new Error('cipher was disposed of')
    const { [use]: cipher, tweaker } = this.#contexts
    const block = new Uint8Array(this.#block.buffer)
    for (let offset = 0; offset < bytes.length; offset += batchSizeBytes) {
      const sizeBytes = Math.min(batchSizeBytes, bytes.length - offset)
      this.#makeMask(tweaker, sector + offset / dataUnitSizeBytes, sizeBytes / dataUnitSizeBytes)
      block.set(bytes.subarray(offset, offset + sizeBytes))
      xorInto(this.#block, this.#mask, sizeBytes / 4)
      const output = cipher.update(block.subarray(0, sizeBytes))
      block.set(output)
      release(output)
      xorInto(this.#block, this.#mask, sizeBytes / 4)
      target.set(block.subarray(0, sizeBytes), offset)
    }
  }

  /** Fills the mask with the tweaks of all blocks of `unitCount` data units: E2(sector), then times alpha per block. */
  #makeMask(tweaker: Cipheriv, sector: number, unitCount: number): void {
    for (let unit = 0; unit < unitCount; unit++) {
      const number = sector + unit
      this.#sectors.writeUInt32LE(number % 0x1_0000_0000, unit * blockSizeBytes)
      this.#sectors.writeUInt32LE(Math.floor(number / 0x1_0000_0000), unit * blockSizeBytes + 4)
    }
    const tweaks = tweaker.update(this.#sectors.subarray(0, unitCount * blockSizeBytes))
    for (let unit = 0; unit < unitCount; unit++) walk(tweaks, unit * blockSizeBytes, this.#mask, unit * unitWordCount)
    release(tweaks)
  }
}

/** Writes the tweak at `offset` and its products with alpha, alpha^2 … (IEEE 1619, 5.2) for one data unit. */
function walk(tweaks: Buffer, offset: number, mask: Int32Array, start: number): void {
  let a = tweaks.readInt32LE(offset)
  let b = tweaks.readInt32LE(offset + 4)
  let c = tweaks.readInt32LE(offset + 8)
  let d = tweaks.readInt32LE(offset + 12)
  for (let word = start; word < start + unitWordCount; word += 4) {
    mask[word] = a
    mask[word + 1] = b
    mask[word + 2] = c
    mask[word + 3] = d
    const carry = (d >> 31) & 0x87
    d = (d << 1) | (c >>> 31)
    c = (c << 1) | (b >>> 31)
    b = (b << 1) | (a >>> 31)
    a = (a << 1) ^ carry
  }
}

function xorInto(target: Int32Array, mask: Int32Array, wordCount: number): void {
  // Both arrays have at least `wordCount` words; `?? 0` would cost a branch per word for nothing.
  for (let word = 0; word < wordCount; word++) target[word] = (target[word] as number) ^ (mask[word] as number)
}

/** Gives the memory of an output back at once: waiting for the garbage collector costs more than the cipher. */
function release(output: Buffer): void {
  if (output.byteLength === output.buffer.byteLength && output.buffer instanceof ArrayBuffer) output.buffer.transfer(0)
}
