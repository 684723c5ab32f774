import { hash as digestOf, randomFillSync } from 'node:crypto'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { stripeCount } from './header-layout.ts'
import { hashSizeBytesOf, type LuksHash, opensslNameOf } from './luks-hash.ts'

/**
 * Spreads `key` over `stripeCount` times its size, of which every stripe is needed to get it back, so that overwriting
 * any part destroys it (LUKS On-Disk Format 1.2.3, 3: anti-forensic splitter).
 */
export function splitKey(key: Secret, hash: LuksHash): Secret {
  const split = secretBytes(key.sizeBytes * stripeCount)
  const last = split.subarray(key.sizeBytes * (stripeCount - 1))
  randomFillSync(split, 0, split.length - key.sizeBytes)
  using diffuser = new Diffuser(key.sizeBytes, hash)
  diffuser.chain(split)
  diffuser.read(last)
  key.expose((bytes) => {
    for (const [index, byte] of bytes.entries()) last[index] = (last[index] ?? 0) ^ byte
  })
  return Secret.from(split)
}

/** Inverts `splitKey`. Any input of the right size gives some key: only the digest tells whether it is the right one. */
export function mergeKey(split: Secret, keySizeBytes: number, hash: LuksHash): Secret {
  using diffuser = new Diffuser(keySizeBytes, hash)
  return split.expose((bytes) => {
    diffuser.chain(bytes)
    diffuser.xor(bytes, stripeCount - 1)
    const key = secretBytes(keySizeBytes)
    diffuser.read(key)
    return Secret.from(key)
  })
}

/** One block of the state: its number, then its bytes, as they are hashed. */
interface Block {
  readonly hashed: Uint8Array
  readonly bytes: Uint8Array
}

/**
 * The state that runs through all stripes. It is kept as the hash wants it, each hash-sized block (the last may be shorter)
 * behind its big-endian number, so that a stripe costs no copy but that of its digests: 8000 of them are the larger part
 * of what opening a volume takes.
 */
class Diffuser implements Disposable {
  readonly #hash: string
  readonly #keySizeBytes: number
  readonly #blocks: readonly Block[]

  constructor(keySizeBytes: number, hash: LuksHash) {
    this.#hash = opensslNameOf(hash)
    this.#keySizeBytes = keySizeBytes
    const stepBytes = hashSizeBytesOf(hash)
    this.#blocks = Array.from({ length: Math.ceil(keySizeBytes / stepBytes) }, (_, index) => {
      const hashed = secretBytes(4 + Math.min(stepBytes, keySizeBytes - index * stepBytes))
      hashed[3] = index
      return { hashed, bytes: hashed.subarray(4) }
    })
  }

  /** All stripes but the last, each XORed in and diffused. */
  chain(split: Uint8Array): void {
    for (let stripe = 0; stripe < stripeCount - 1; stripe++) {
      this.xor(split, stripe)
      this.#diffuse()
    }
  }

  xor(split: Uint8Array, stripe: number): void {
    let offset = stripe * this.#keySizeBytes
    for (const { bytes } of this.#blocks) {
      for (let index = 0; index < bytes.length; index++) {
        // Both indexes are within their arrays.
        bytes[index] = (bytes[index] as number) ^ (split[offset++] as number)
      }
    }
  }

  read(target: Uint8Array): void {
    let offset = 0
    for (const { bytes } of this.#blocks) {
      target.set(bytes, offset)
      offset += bytes.length
    }
  }

  [Symbol.dispose](): void {
    for (const { bytes } of this.#blocks) bytes.fill(0)
  }

  /**
   * Replaces each block by the hash of its number and itself. Digests come as strings, which cost a quarter of what buffers
   * do. They cannot be wiped and need not be: without the last stripe, which lies encrypted on the disk, the state is
   * random and says nothing about the key.
   */
  #diffuse(): void {
    for (const { hashed, bytes } of this.#blocks) {
      const digest = digestOf(this.#hash, hashed, 'binary')
      // A digest that is longer than the last block is cut.
      for (let index = 0; index < bytes.length; index++) bytes[index] = digest.charCodeAt(index)
    }
  }
}
