import { hash as digestOf, randomFillSync } from 'node:crypto'
import { Secret } from '@cryptvisor/secret'
import type { LuksHash } from './header.ts'
import { stripeCount } from './header-layout.ts'

const hashSizeBytes: Readonly<Record<LuksHash, number>> = { sha1: 20, sha256: 32, sha512: 64 }

/**
 * Spreads `key` over `stripeCount` times its size, of which every stripe is needed to get it back, so that overwriting
 * any part destroys it (LUKS On-Disk Format 1.2.3, 3: anti-forensic splitter).
 */
export function splitKey(key: Secret, hash: LuksHash): Secret {
  const split = new Uint8Array(key.sizeBytes * stripeCount)
  const last = split.subarray(key.sizeBytes * (stripeCount - 1))
  randomFillSync(split, 0, split.length - key.sizeBytes)
  const state = chain(split, key.sizeBytes, hash)
  key.expose((bytes) => {
    last.set(state)
    xorInto(last, bytes)
  })
  state.fill(0)
  return Secret.from(split)
}

/** Inverts `splitKey`. Any input of the right size gives some key: only the digest tells whether it is the right one. */
export function mergeKey(split: Secret, keySizeBytes: number, hash: LuksHash): Secret {
  return split.expose((bytes) => {
    const state = chain(bytes, keySizeBytes, hash)
    xorInto(state, bytes.subarray(keySizeBytes * (stripeCount - 1), keySizeBytes * stripeCount))
    return Secret.from(state)
  })
}

/** All stripes but the last, each XORed in and diffused. */
function chain(split: Uint8Array, keySizeBytes: number, hash: LuksHash): Uint8Array {
  const state = new Uint8Array(keySizeBytes)
  const block = new Uint8Array(4 + hashSizeBytes[hash])
  for (let stripe = 0; stripe < stripeCount - 1; stripe++) {
    xorInto(state, split.subarray(stripe * keySizeBytes, (stripe + 1) * keySizeBytes))
    diffuse(state, hash, block)
  }
  block.fill(0)
  return state
}

/** Replaces each hash-sized block, a shorter last one too, by the hash of its big-endian number and itself. */
function diffuse(state: Uint8Array, hash: LuksHash, block: Uint8Array): void {
  const step = hashSizeBytes[hash]
  for (let offset = 0, index = 0; offset < state.length; offset += step, index++) {
    const part = state.subarray(offset, offset + step)
    block[3] = index
    block.set(part, 4)
    const digest = digestOf(hash, block.subarray(0, 4 + part.length), 'buffer')
    part.set(digest.subarray(0, part.length))
    digest.fill(0)
  }
}

function xorInto(target: Uint8Array, mask: Uint8Array): void {
  target.forEach((byte, index) => {
    target[index] = byte ^ (mask[index] ?? 0)
  })
}
