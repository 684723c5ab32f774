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

/** The tweak of the first block of each unit in a step. */
function makeOffsets(tweak: Uint8Array, unitSizeBytes: DataUnitSizeBytes): Uint8Array {
  const offsets = Buffer.alloc((stepSizeBytes / unitSizeBytes) * blockSizeBytes)
  offsets.set(tweak)
  for (let address = blockSizeBytes; address < offsets.length; address += blockSizeBytes) {
    offsets.copyWithin(address, address - blockSizeBytes, address)
    for (let blocks = 0; blocks < unitSizeBytes / blockSizeBytes; blocks += 32) shift32(offsets, address)
  }
  return offsets
}

/** Multiplies the block at `address` with alpha^32: one word up, and what leaves at the top comes back times 0x87. */
function shift32(blocks: Buffer, address: number): void {
  const top = blocks.readUInt32LE(address + 12)
  blocks.copyWithin(address + 4, address, address + 12)
  const low = top ^ (top << 1) ^ (top << 2) ^ (top << 7)
  const carry = (top >>> 31) ^ (top >>> 30) ^ (top >>> 25)
  blocks.writeInt32LE(low, address)
  blocks.writeUInt32LE((blocks.readUInt32LE(address + 4) ^ carry) >>> 0, address + 4)
}
