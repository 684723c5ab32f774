import { randomFillSync } from 'node:crypto'
import { createXts } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { splitKey } from './af-splitter.ts'
import type { Header, KeySlot } from './header.ts'
import { fieldOf, iterationsWritten, keySlotEnabled, keySlotLayout, keySlotOffsetOf } from './header-layout.ts'
import { deriveKey } from './key-derivation.ts'
import { keyMaterialOf } from './key-slot.ts'

/**
 * Puts the volume key, split and encrypted under the passphrase, into a slot of a volume whose bytes up to the payload
 * are given with its parsed `header`, and enables it. The passphrase must be uniformly random: 1000 iterations do not
 * protect a human's.
 */
export async function fillKeySlot(
  bytes: Uint8Array,
  header: Header,
  slot: KeySlot,
  volumeKey: Secret,
  passphrase: Secret,
): Promise<void> {
  const start = keySlotOffsetOf(slot.index)
  const salt = randomFillSync(fieldOf(bytes, keySlotLayout.salt, start))
  const { hash, volumeKeySizeBytes } = header
  const derivation = { type: 'pbkdf2', hash, iterations: iterationsWritten, salt } as const
  using slotKey = await deriveKey(passphrase, derivation, volumeKeySizeBytes)
  using split = splitKey(volumeKey, hash)
  using xts = createXts(slotKey)
  // The split key fills whole sectors: 64 or 32 bytes times 4000 stripes.
  split.expose((plaintext) => xts.encrypt(plaintext, 0, keyMaterialOf(bytes, header, slot)))
  fieldOf(bytes, keySlotLayout.iterations, start).writeUInt32BE(iterationsWritten)
  fieldOf(bytes, keySlotLayout.state, start).writeUInt32BE(keySlotEnabled)
}
