import { randomFillSync } from 'node:crypto'
import { type DataUnitCipher, dataUnitSizeBytes } from './data-unit.ts'
import { stepSizeBytes } from './xts-workspace.ts'

/** Its first unit is the last one whose number has 32 bits, so that others have more. */
const firstSector = 0x1_0000_0000 - 8

/**
 * Whether a candidate does what the reference does, in both directions: on a few units, which is one way through it, and on
 * a whole step and a bit, which is the other. Of the latter, units at the borders are compared, the rest by decrypting.
 */
export function agree(candidate: DataUnitCipher, reference: DataUnitCipher): boolean {
  const { unitSizeBytes } = reference
  const few = 11
  const many = stepSizeBytes / unitSizeBytes + few
  return (
    agreeOn(candidate, reference, few, [0, 1, 7, 8, 10]) &&
    agreeOn(candidate, reference, many, [0, 9, many - few - 1, many - few, many - 1])
  )
}

function agreeOn(
  candidate: DataUnitCipher,
  reference: DataUnitCipher,
  unitCount: number,
  units: readonly number[],
): boolean {
  const { unitSizeBytes } = reference
  const plaintext = randomFillSync(Buffer.allocUnsafe(unitCount * unitSizeBytes))
  const ciphertext = Buffer.allocUnsafe(plaintext.length)
  const expected = Buffer.allocUnsafe(unitSizeBytes)
  candidate.encrypt(plaintext, firstSector, ciphertext)
  for (const unit of units) {
    const start = unit * unitSizeBytes
    reference.encrypt(
      plaintext.subarray(start, start + unitSizeBytes),
      firstSector + start / dataUnitSizeBytes,
      expected,
    )
    if (!expected.equals(ciphertext.subarray(start, start + unitSizeBytes))) return false
  }
  candidate.decrypt(ciphertext, firstSector)
  return ciphertext.equals(plaintext)
}
