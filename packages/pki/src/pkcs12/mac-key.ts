import { createHash } from 'node:crypto'
import { setImmediate as breathe } from 'node:timers/promises'
import { Secret } from '@cryptvisor/secret'

/** Of SHA-256: its output and its block (FIPS 180-4). */
const hashSizeBytes = 32
const blockSizeBytes = 64
/** RFC 7292, B.3: what the derived bytes are for. */
const forMac = 3
/** How many rounds are computed before others have their turn. */
const turnRounds = 20_000

/**
 * The key of a PKCS#12 MAC with SHA-256 (RFC 7292, B.2; one block is all that it takes). `password` is UTF-16, big-endian,
 * with two zero bytes at its end.
 */
export async function macKeyOf(password: Secret, salt: Uint8Array, roundCount: number): Promise<Secret> {
  const first = password.expose((bytes) =>
    createHash('sha256')
      .update(Buffer.alloc(blockSizeBytes, forMac))
      .update(filled(salt))
      .update(filled(bytes))
      .digest(),
  )
  let value: Buffer = first
  for (let round = 1; round < roundCount; round++) {
    const next = createHash('sha256').update(value).digest()
    value.fill(0)
    value = next
    if (round % turnRounds === 0) await breathe()
  }
  return Secret.from(value.subarray(0, hashSizeBytes))
}

/** Repeated until it fills whole blocks. */
function filled(bytes: Uint8Array): Buffer {
  return Buffer.alloc(Math.ceil(bytes.length / blockSizeBytes) * blockSizeBytes, bytes)
}
