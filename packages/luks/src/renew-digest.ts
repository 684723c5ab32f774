import { randomFillSync } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { parseHeader } from './header.ts'
import { type HeaderChange, writeOf } from './header-change.ts'
import { fieldOf, headerLayout, iterationsWritten } from './header-layout.ts'
import { deriveKey } from './key-derivation.ts'
import { checkReachesPayload, isVolumeKey } from './key-slot.ts'
import { LuksError } from './luks-error.ts'

/**
 * Makes the digest of a LUKS1 volume anew with the iterations that we write: with those of other formatters, up to
 * millions, an adopted disk would take seconds to open. The volume key has at least 256 random bits, so the digest needs
 * no more. It is one write within one sector. Throws a LuksError: `other-volume-key`, or what `parseHeader` throws.
 */
export async function renewDigest(bytes: Uint8Array, volumeKey: Secret): Promise<HeaderChange> {
  const header = parseHeader(bytes)
  checkReachesPayload(bytes, header)
  if (!(await isVolumeKey(header, volumeKey))) {
    throw new LuksError('other-volume-key', `the volume key is not that of ${header.uuid}`)
  }
  const changed = Uint8Array.from(bytes.subarray(0, header.payloadOffsetBytes))
  const salt = randomFillSync(fieldOf(changed, headerLayout.digestSalt))
  const { digest: field, digestIterations, uuid } = headerLayout
  const derivation = { type: 'pbkdf2', hash: header.hash, iterations: iterationsWritten, salt } as const
  using digest = await deriveKey(volumeKey, derivation, field.sizeBytes)
  digest.expose((found) => fieldOf(changed, field).set(found))
  fieldOf(changed, digestIterations).writeUInt32BE(iterationsWritten)
  return { bytes: changed, writes: [writeOf(changed, field.offset, uuid.offset)] }
}
