import { randomFillSync } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { type Header, type KeySlot, parseHeader } from './header.ts'
import { type HeaderChange, type HeaderWrite, writeOf } from './header-change.ts'
import { fieldOf, headerFieldsSizeBytes, keySlotDisabled, keySlotLayout, keySlotOffsetOf } from './header-layout.ts'
import { checkReachesPayload, keyMaterialOf, openKeySlot } from './key-slot.ts'
import { LuksError } from './luks-error.ts'

/**
 * Removes key slots of a LUKS1 volume whose bytes up to the payload are given; the disk must not be in use. `keeper` must
 * open one of those that remain, and does so all the while. Key material is overwritten with random bytes before its slot
 * is disabled, so that nobody can enable it again; what a device keeps of old blocks is beyond reach. Throws a LuksError:
 * `inactive-key-slot`, `wrong-passphrase` when `keeper` opens none that remains, or what `parseHeader` throws.
 */
export async function removeKeySlots(
  bytes: Uint8Array,
  indexes: readonly number[],
  keeper: Secret,
): Promise<HeaderChange> {
  const header = parseHeader(bytes)
  checkReachesPayload(bytes, header)
  const slots = indexes.map((index) => activeSlot(header, index))
  await checkKeeper(bytes, header, indexes, keeper)
  const changed = Uint8Array.from(bytes.subarray(0, header.payloadOffsetBytes))
  const writes: HeaderWrite[] = slots.map((slot) => {
    const material = randomFillSync(keyMaterialOf(changed, header, slot))
    return writeOf(changed, slot.keyMaterialOffsetBytes, slot.keyMaterialOffsetBytes + material.length)
  })
  for (const { index } of slots) {
    const start = keySlotOffsetOf(index)
    fieldOf(changed, keySlotLayout.state, start).writeUInt32BE(keySlotDisabled)
    fieldOf(changed, keySlotLayout.iterations, start).fill(0)
    fieldOf(changed, keySlotLayout.salt, start).fill(0)
  }
  if (slots.length > 0) writes.push(writeOf(changed, 0, headerFieldsSizeBytes))
  return { bytes: changed, writes }
}

function activeSlot({ keySlots, uuid }: Header, index: number): KeySlot {
  const slot = keySlots[index]
  if (slot?.active !== true) throw new LuksError('inactive-key-slot', `key slot ${index} of ${uuid} is not in use`)
  return slot
}

async function checkKeeper(
  bytes: Uint8Array,
  header: Header,
  indexes: readonly number[],
  keeper: Secret,
): Promise<void> {
  for (const slot of header.keySlots.filter(({ active, index }) => active && !indexes.includes(index))) {
    using volumeKey = await openKeySlot(header, slot, keeper, keyMaterialOf(bytes, header, slot))
    if (volumeKey !== null) return
  }
  throw new LuksError(
    'wrong-passphrase',
    `none of the key slots of ${header.uuid} that would remain opens with this passphrase: nothing was removed`,
  )
}
