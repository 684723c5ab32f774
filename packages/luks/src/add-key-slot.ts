import type { Secret } from '@cryptvisor/secret'
import { fillKeySlot } from './fill-key-slot.ts'
import { parseHeader } from './header.ts'
import { type HeaderChange, writeOf } from './header-change.ts'
import {
  fieldOf,
  keySlotDisabled,
  keySlotEnabled,
  keySlotLayout,
  keySlotOffsetOf,
  keySlotSizeBytes,
} from './header-layout.ts'
import { checkReachesPayload, isVolumeKey, keyMaterialOf, openKeySlot } from './key-slot.ts'
import { LuksError } from './luks-error.ts'
import { qemuHashes } from './luks-hash.ts'

/** A change that added a key slot. */
export interface AddedKeySlot extends HeaderChange {
  readonly index: number
}

/**
 * Adds a key slot for `passphrase`, which must be uniformly random (`passphraseOf`), to a LUKS1 volume whose bytes up to
 * the payload are given; the disk must not be in use. The old key slots open it all the while: key material first, then
 * the slot's fields, at last the one that enables it. Throws a LuksError: `no-free-slot`, `other-volume-key` when
 * `volumeKey` is not this volume's, `unsupported-hash` for one that QEMU does not know, or what `parseHeader` throws.
 */
export async function addKeySlot(bytes: Uint8Array, volumeKey: Secret, passphrase: Secret): Promise<AddedKeySlot> {
  const header = parseHeader(bytes)
  checkReachesPayload(bytes, header)
  if (!qemuHashes.has(header.hash)) {
    throw new LuksError('unsupported-hash', `QEMU does not know hash ${header.hash}: import the disk instead`)
  }
  if (!(await isVolumeKey(header, volumeKey))) {
    throw new LuksError('other-volume-key', `the volume key is not that of ${header.uuid}`)
  }
  const slot = header.keySlots.find(({ active }) => !active)
  if (slot === undefined) {
    throw new LuksError(
      'no-free-slot',
      `all key slots of ${header.uuid} are in use: remove one with "cryptsetup luksKillSlot"`,
    )
  }
  const { index } = slot
  const changed = Uint8Array.from(bytes.subarray(0, header.payloadOffsetBytes))
  await fillKeySlot(changed, header, slot, volumeKey, passphrase)
  await checkOpens(changed, index, volumeKey, passphrase)
  const start = keySlotOffsetOf(index)
  const state = fieldOf(changed, keySlotLayout.state, start)
  state.writeUInt32BE(keySlotDisabled)
  const material = keyMaterialOf(changed, header, slot)
  const materialStart = slot.keyMaterialOffsetBytes
  // The fields of slot 6 lie in two sectors, so they are on the disk before the slot is enabled.
  const writes = [
    writeOf(changed, materialStart, materialStart + material.length),
    writeOf(changed, start, start + keySlotSizeBytes),
  ]
  state.writeUInt32BE(keySlotEnabled)
  writes.push(writeOf(changed, start, start + state.length))
  return { index, bytes: changed, writes }
}

/** What is about to be written must open. */
async function checkOpens(bytes: Uint8Array, index: number, volumeKey: Secret, passphrase: Secret): Promise<void> {
  const header = parseHeader(bytes)
  const slot = header.keySlots[index]
  using found =
    slot === undefined ? null : await openKeySlot(header, slot, passphrase, keyMaterialOf(bytes, header, slot))
  if (found === null || !found.equal(volumeKey)) throw new Error(`key slot ${index} does not open as it was filled`)
}
