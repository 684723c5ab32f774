import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { BlockCore, Direction } from './block-core.ts'
import type { DataUnitSizeBytes } from './data-unit.ts'
import { blockSizeBytes, type XtsKey } from './xts-key.ts'
import { stepSizeBytes } from './xts-workspace.ts'

/** Encrypts one block under the tweak key. */
export type EncryptTweak = (block: Uint8Array) => Uint8Array

/**
 * AES by OpenSSL's XTS, which from OpenSSL 3.5 on is three times as fast as its ECB where the processor has VAES. A whole
 * step is one data unit to it, with a fixed random tweak t': block j is masked with alpha^j t'. In unit u of a step, of B
 * blocks each, that is alpha^i (alpha^(B u) t') for the unit's block i, a walk just like the one of the unit's own tweak.
 * So `alpha^(B u) t'`, XORed into each unit's encrypted sector number, makes the walk cancel it. Each step is a cipher
 * object of its own with one update, as OpenSSL documents XTS.
 */
export class LongUnitCore implements BlockCore {
  readonly offsets: Uint8Array
  readonly #key: XtsKey
  readonly #tweak = randomBytes(blockSizeBytes)

  constructor(key: XtsKey, unitSizeBytes: DataUnitSizeBytes, encryptTweak: EncryptTweak) {
    this.#key = key
    this.offsets = makeOffsets(encryptTweak(this.#tweak), unitSizeBytes)
  }

  update(direction: Direction, blocks: Uint8Array): Buffer {
    const create = direction === 'encrypt' ? createCipheriv : createDecipheriv
    return create(this.#key.ciphers.xts, this.#key.both, this.#tweak).update(blocks)
  }
}

/** The tweak of the first block of each unit in a step, as a little-endian machine has it in its words. */
function makeOffsets(tweak: Uint8Array, unitSizeBytes: DataUnitSizeBytes): Uint8Array {
  const unitCount = stepSizeBytes / unitSizeBytes
  const words = new Int32Array(unitCount * 4)
  const offsets = new Uint8Array(words.buffer)
  offsets.set(tweak)
  let [a = 0, b = 0, c = 0, d = 0] = words
  for (let word = 4; word < unitCount * 4; word += 4) {
    for (let block = 0; block < unitSizeBytes / blockSizeBytes; block += 32) {
      // Times alpha^32: one word up, and the word that leaves at the top comes back at the bottom times 0x87.
      const top = d
      d = c
      c = b
      b = a ^ (top >>> 31) ^ (top >>> 30) ^ (top >>> 25)
      a = top ^ (top << 1) ^ (top << 2) ^ (top << 7)
    }
    words[word] = a
    words[word + 1] = b
    words[word + 2] = c
    words[word + 3] = d
  }
  return offsets
}
