import { timingSafeEqual } from 'node:crypto'
import { Secret } from '@cryptvisor/secret'
import { mergeKey } from './af-splitter.ts'
import { createDecryptor } from './data-unit-decryptor.ts'
import { type Header, type KeySlot, parseHeader } from './header.ts'
import { iterationsMax as foreignIterationsMax, keyMaterialSizeBytes, sectorSizeBytes } from './header-layout.ts'
import { deriveKey } from './key-derivation.ts'
import { LuksError } from './luks-error.ts'

/**
 * Opens a LUKS1 volume: tries `passphrase` on every active key slot and gives the volume key (LUKS On-Disk Format 1.2.3,
 * 4.3 "Master key recovery"). `bytes` is the beginning of the volume up to its payload. PBKDF2 runs on a thread of its
 * own. Slots with more than `iterationsMax` iterations are left alone: whoever can write the header chooses how long they
 * take. Throws a LuksError: `wrong-passphrase`, `no-active-slot`, `truncated`, `bad-iterations` when the digest has more, or
 * what `parseHeader` throws.
 */
export async function unlock(
  bytes: Uint8Array,
  passphrase: Secret,
  iterationsMax = foreignIterationsMax,
): Promise<Secret> {
  const header = parseHeader(bytes)
  if (header.digestIterations > iterationsMax) {
    throw new LuksError(
      'bad-iterations',
      `the digest has ${header.digestIterations} PBKDF2 iterations, expected at most ${iterationsMax}`,
    )
  }
  const slots = header.keySlots.filter(({ active, iterations }) => active && iterations <= iterationsMax)
  if (slots.length === 0) throw new LuksError('no-active-slot', 'no key slot is in use: nothing can open this volume')
  checkReachesPayload(bytes, header)
  for (const slot of slots) {
    const volumeKey = await openKeySlot(header, slot, passphrase, keyMaterialOf(bytes, header, slot))
    if (volumeKey !== null) return volumeKey
  }
  throw new LuksError(
    'wrong-passphrase',
    `none of the ${slots.length} active key slots of ${header.uuid} opens with this passphrase`,
  )
}

/** Refuses bytes that do not reach up to the payload, with a LuksError `truncated`. */
export function checkReachesPayload(bytes: Uint8Array, { payloadOffsetBytes }: Header): void {
  if (bytes.length < payloadOffsetBytes) {
    throw new LuksError('truncated', `expected ${payloadOffsetBytes} bytes up to the payload, got ${bytes.length}`)
  }
}

/** The encrypted key material of a slot, in the bytes up to the payload. */
export function keyMaterialOf(bytes: Uint8Array, { volumeKeySizeBytes }: Header, slot: KeySlot): Uint8Array {
  const { keyMaterialOffsetBytes: start } = slot
  return bytes.subarray(start, start + keyMaterialSizeBytes(volumeKeySizeBytes))
}

/** The volume key, or null when the passphrase is not this slot's. `material` is not changed. */
export async function openKeySlot(
  header: Header,
  slot: KeySlot,
  passphrase: Secret,
  material: Uint8Array,
): Promise<Secret | null> {
  const { cipher, hash, volumeKeySizeBytes } = header
  const { iterations, salt } = slot
  using slotKey = await deriveKey(passphrase, { type: 'pbkdf2', hash, iterations, salt }, volumeKeySizeBytes)
  using decryptor = createDecryptor(slotKey, { cipher, unitSizeBytes: sectorSizeBytes, ivTweak: 0 })
  const plaintext = new Uint8Array(material.length)
  decryptor.decrypt(material, 0, plaintext)
  using split = Secret.from(plaintext)
  const volumeKey = mergeKey(split, volumeKeySizeBytes, hash)
  if (await isVolumeKey(header, volumeKey)) return volumeKey
  volumeKey[Symbol.dispose]()
  return null
}

/** Whether a key is the one that the header's digest was made of. */
export async function isVolumeKey(header: Header, volumeKey: Secret): Promise<boolean> {
  const { hash, digest, digestIterations: iterations, digestSalt: salt } = header
  using found = await deriveKey(volumeKey, { type: 'pbkdf2', hash, iterations, salt }, digest.length)
  return found.expose((bytes) => timingSafeEqual(bytes, digest))
}
