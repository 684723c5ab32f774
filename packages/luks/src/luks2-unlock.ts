import { timingSafeEqual } from 'node:crypto'
import { Secret } from '@cryptvisor/secret'
import { mergeKey } from './af-splitter.ts'
import { createDecryptor } from './data-unit-decryptor.ts'
import { keyMaterialSizeBytes, sectorSizeBytes } from './header-layout.ts'
import { deriveKey } from './key-derivation.ts'
import type { Luks2KeySlot } from './luks2-key-slots.ts'
import type { Luks2Digest, Luks2Metadata } from './luks2-metadata.ts'
import { firstThatOpens } from './open-slots.ts'
import type { VolumeReader } from './read-at.ts'
import type { WorkBudget } from './work-limits.ts'

/**
 * Opens a LUKS2 volume: tries `passphrase` on the key slots in their order, as far as `budget` goes, and gives the volume
 * key. Throws a LuksError: `wrong-passphrase`, `too-much-work`, `truncated`.
 */
export async function unlockLuks2(
  reader: VolumeReader,
  { keySlots, digest }: Luks2Metadata,
  passphrase: Secret,
  budget: WorkBudget,
): Promise<Secret> {
  return await firstThatOpens(
    keySlots.map((slot) => ({
      name: `key slot ${slot.id}`,
      derivations: [slot.derivation, digest.derivation],
      open: () => openSlot(reader, slot, digest, passphrase),
    })),
    budget,
  )
}

/** The volume key, or null when the passphrase is not this slot's (LUKS2 On-Disk Format, 4.1). */
async function openSlot(
  reader: VolumeReader,
  { id, keySizeBytes, derivation, splitHash, area }: Luks2KeySlot,
  digest: Luks2Digest,
  passphrase: Secret,
): Promise<Secret | null> {
  const sizeBytes = keyMaterialSizeBytes(keySizeBytes)
  const material = Uint8Array.from(await reader.read(area.offsetBytes, sizeBytes, `the key material of key slot ${id}`))
  using slotKey = await deriveKey(passphrase, derivation, area.keySizeBytes)
  using decryptor = createDecryptor(slotKey, { cipher: area.cipher, unitSizeBytes: sectorSizeBytes, ivTweak: 0 })
  decryptor.decrypt(material, 0)
  using split = Secret.from(material)
  const volumeKey = mergeKey(split, keySizeBytes, splitHash)
  using found = await deriveKey(volumeKey, digest.derivation, digest.digest.length)
  if (found.expose((bytes) => timingSafeEqual(bytes, digest.digest))) return volumeKey
  volumeKey[Symbol.dispose]()
  return null
}
