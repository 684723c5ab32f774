import { randomFillSync } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { fillKeySlot } from './fill-key-slot.ts'
import { parseHeader } from './header.ts'
import {
  fieldOf,
  headerLayout,
  iterationsWritten,
  keyMaterialAlignmentBytes,
  keyMaterialSizeBytes,
  keySlotCount,
  keySlotDisabled,
  keySlotLayout,
  keySlotOffsetOf,
  luksMagic,
  sectorSizeBytes,
  stripeCount,
} from './header-layout.ts'
import { deriveKey } from './key-derivation.ts'
import { LuksError } from './luks-error.ts'

/** Where our payloads begin: 8 key slots and two record copies fit before it, and every block size divides it. */
export const payloadOffsetWrittenBytes = 2 * 1_048_576

const hash = 'sha256'
const volumeKeySizeBytes = 64

/** What a new volume is made of. */
export interface NewVolume {
  /** 64 random bytes, the AES-256-XTS key of the payload. */
  readonly volumeKey: Secret
  /** Opens key slot 0. It must be uniformly random (`passphraseOf`): 1000 iterations do not protect a human's. */
  readonly passphrase: Secret
  /** The volume's UUID, as text. */
  readonly uuid: string
  /** Where the payload begins; 2 MiB if not given. */
  readonly payloadOffsetBytes?: number
}

/**
 * Makes a LUKS1 header (LUKS On-Disk Format 1.2.3, 4.1): aes-xts-plain64, sha256, key slot 0 in use, all bytes up to the
 * payload. Record copies are left empty. Throws a LuksError when a field would not be a valid one.
 */
export async function createHeader(volume: NewVolume): Promise<Uint8Array> {
  const { volumeKey, passphrase, uuid, payloadOffsetBytes = payloadOffsetWrittenBytes } = volume
  if (volumeKey.sizeBytes !== volumeKeySizeBytes) {
    throw new LuksError('bad-key-size', `a volume key has ${volumeKeySizeBytes} bytes, not ${volumeKey.sizeBytes}`)
  }
  checkPayloadOffset(payloadOffsetBytes)
  const bytes = new Uint8Array(payloadOffsetBytes)
  const salt = randomFillSync(new Uint8Array(headerLayout.digestSalt.sizeBytes))
  bytes.set(luksMagic)
  fieldOf(bytes, headerLayout.version).writeUInt16BE(1)
  fieldOf(bytes, headerLayout.cipherName).write('aes')
  fieldOf(bytes, headerLayout.cipherMode).write('xts-plain64')
  fieldOf(bytes, headerLayout.hashSpec).write(hash)
  fieldOf(bytes, headerLayout.payloadOffset).writeUInt32BE(payloadOffsetBytes / sectorSizeBytes)
  fieldOf(bytes, headerLayout.keyBytes).writeUInt32BE(volumeKeySizeBytes)
  fieldOf(bytes, headerLayout.digestSalt).set(salt)
  fieldOf(bytes, headerLayout.digestIterations).writeUInt32BE(iterationsWritten)
  fieldOf(bytes, headerLayout.uuid).write(uuid.toLowerCase(), 'latin1')
  const derivation = { type: 'pbkdf2', hash, iterations: iterationsWritten, salt } as const
  using digest = await deriveKey(volumeKey, derivation, headerLayout.digest.sizeBytes)
  digest.expose((found) => fieldOf(bytes, headerLayout.digest).set(found))
  for (let index = 0; index < keySlotCount; index++) writeDisabledSlot(bytes, index)
  const header = parseHeader(bytes)
  const [first] = header.keySlots
  if (first !== undefined) await fillKeySlot(bytes, header, first, volumeKey, passphrase)
  return bytes
}

function checkPayloadOffset(payloadOffsetBytes: number): void {
  const end = keyMaterialOffsetBytes(keySlotCount - 1) + keyMaterialSizeBytes(volumeKeySizeBytes)
  if (payloadOffsetBytes < end || payloadOffsetBytes % keyMaterialAlignmentBytes !== 0) {
    throw new LuksError(
      'bad-payload-offset',
      `payload at ${payloadOffsetBytes}: expected a multiple of ${keyMaterialAlignmentBytes}, ${end} or more`,
    )
  }
}

function writeDisabledSlot(bytes: Uint8Array, index: number): void {
  const start = keySlotOffsetOf(index)
  fieldOf(bytes, keySlotLayout.state, start).writeUInt32BE(keySlotDisabled)
  fieldOf(bytes, keySlotLayout.keyMaterialOffset, start).writeUInt32BE(keyMaterialOffsetBytes(index) / sectorSizeBytes)
  fieldOf(bytes, keySlotLayout.stripes, start).writeUInt32BE(stripeCount)
}

function keyMaterialOffsetBytes(index: number): number {
  const stepBytes =
    Math.ceil(keyMaterialSizeBytes(volumeKeySizeBytes) / keyMaterialAlignmentBytes) * keyMaterialAlignmentBytes
  return keyMaterialAlignmentBytes + index * stepBytes
}
