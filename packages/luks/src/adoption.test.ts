import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { addKeySlot } from './add-key-slot.ts'
import { createHeader } from './create-header.ts'
import { parseHeader } from './header.ts'
import type { HeaderChange } from './header-change.ts'
import { unlock } from './key-slot.ts'
import { passphraseOf } from './passphrase.ts'
import { recordPlaceOf } from './record-copy.ts'
import { removeKeySlots } from './remove-key-slots.ts'
import { renewDigest } from './renew-digest.ts'
import { cuts, torn, written } from './testing/torn-writes.ts'

const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'
const volumeKey = Secret.random(64)
const foreign = Secret.random(64)
const own = passphraseOf(Secret.random(32))
const bytes = await createHeader({ volumeKey, passphrase: foreign, uuid })

const activeOf = (volume: Uint8Array) =>
  parseHeader(volume)
    .keySlots.filter(({ active }) => active)
    .map(({ index }) => index)

async function opens(volume: Uint8Array, passphrase: Secret, note?: string): Promise<void> {
  using found = await unlock(volume, passphrase)
  assert.ok(found.equal(volumeKey), note)
}

/** States that the disk may be in while a change is written, from write number `first` on. */
function* crashes(
  before: Uint8Array,
  { writes }: HeaderChange,
  first = 0,
): Generator<readonly [note: string, volume: Uint8Array]> {
  for (const [index, write] of writes.entries()) {
    if (index < first) continue
    const start = written(before, writes.slice(0, index))
    for (const [cut, chosen] of cuts.entries()) yield [`write ${index}, cut ${cut}`, torn(start, write, chosen)]
  }
}

test('a key slot is added: both passphrases open, and nothing but the slot has changed', async () => {
  const { index, bytes: after, writes } = await addKeySlot(bytes, volumeKey, own)
  assert.equal(index, 1)
  assert.deepEqual(activeOf(after), [0, 1])
  assert.deepEqual(written(bytes, writes), after)
  await opens(after, foreign)
  await opens(after, own)
  const { keyMaterialOffsetBytes: start = 0 } = parseHeader(after).keySlots[1] ?? {}
  const restored = Uint8Array.from(after)
  restored.set(bytes.subarray(208 + 48, 208 + 96), 208 + 48)
  restored.set(bytes.subarray(start, start + 256_000), start)
  assert.deepEqual(restored, bytes)
})

test('a crash at any write of an added slot, torn between sectors or not, leaves the old passphrase good', async () => {
  // Slots 0 to 5 are in use, so that the new one is number 6, whose fields lie in two sectors.
  let before = bytes
  for (let count = 1; count < 6; count++) before = (await addKeySlot(before, volumeKey, own)).bytes
  using last = Secret.random(64)
  const change = await addKeySlot(before, volumeKey, last)
  assert.equal(change.index, 6)
  for (const [note, volume] of crashes(before, change)) await opens(volume, foreign, note)
  await opens(change.bytes, last)
})

test('a crash while the old slots are removed, torn between sectors or not, leaves the new passphrase good', async () => {
  let before = bytes
  for (let count = 1; count < 7; count++) before = (await addKeySlot(before, volumeKey, foreign)).bytes
  const added = await addKeySlot(before, volumeKey, own)
  assert.equal(added.index, 7)
  const change = await removeKeySlots(added.bytes, [0, 1, 2, 3, 4, 5, 6], own)
  assert.equal(change.writes.length, 8)
  for (const [note, volume] of crashes(added.bytes, change, 5)) await opens(volume, own, note)
  assert.deepEqual(written(added.bytes, change.writes), change.bytes)
  assert.deepEqual(activeOf(change.bytes), [7])
})

test('a removed slot is wiped: enabling it again opens nothing', async () => {
  const added = await addKeySlot(bytes, volumeKey, own)
  const { bytes: removed, writes } = await removeKeySlots(added.bytes, [0], own)
  await assert.rejects(unlock(removed, foreign), { code: 'wrong-passphrase' })
  const [material] = writes
  assert.ok(material !== undefined && material.offsetBytes === 4096)
  const old = Buffer.from(bytes.subarray(4096, 4096 + 256_000))
  for (let offset = 0; offset < old.length; offset += 4096) {
    assert.equal(Buffer.from(removed).indexOf(old.subarray(offset, offset + 16)), -1)
  }
  const again = Uint8Array.from(removed)
  again.set(bytes.subarray(208, 256), 208)
  await assert.rejects(unlock(again, foreign), { code: 'wrong-passphrase' })
})

test('what would leave the volume without a passphrase, or is none of its own, is refused', async () => {
  using other = Secret.random(64)
  await assert.rejects(addKeySlot(bytes, other, own), { name: 'LuksError', code: 'other-volume-key' })
  await assert.rejects(renewDigest(bytes, other), { name: 'LuksError', code: 'other-volume-key' })
  await assert.rejects(addKeySlot(bytes.subarray(0, 4096), volumeKey, own), { code: 'truncated' })
  await assert.rejects(removeKeySlots(bytes, [0], foreign), { name: 'LuksError', code: 'wrong-passphrase' })
  const added = await addKeySlot(bytes, volumeKey, own)
  await assert.rejects(removeKeySlots(added.bytes, [0], foreign), { code: 'wrong-passphrase' })
  for (const index of [2, 8, -1, 0.5]) {
    await assert.rejects(removeKeySlots(added.bytes, [index], foreign), { code: 'inactive-key-slot' })
  }
  let full = bytes
  for (let count = 1; count < 8; count++) full = (await addKeySlot(full, volumeKey, own)).bytes
  await assert.rejects(addKeySlot(full, volumeKey, own), { code: 'no-free-slot' })
})

test('a renewed digest has our iterations and is one write, torn or not', async () => {
  const before = Uint8Array.from(bytes)
  const change = await renewDigest(before, volumeKey)
  assert.equal(parseHeader(change.bytes).digestIterations, 1000)
  assert.notDeepEqual(change.bytes.subarray(112, 164), before.subarray(112, 164))
  assert.deepEqual(change.bytes.subarray(168), before.subarray(168))
  assert.equal(change.writes.length, 1)
  for (const [note, volume] of crashes(before, change)) await opens(volume, foreign, note)
})

test('a change works on whole blocks, as far as the payload leaves room', async () => {
  const tight = Uint8Array.from(bytes.subarray(0, 4036 * 512))
  Buffer.from(tight.buffer).writeUInt32BE(4036, 104)
  let change = await addKeySlot(tight, volumeKey, own)
  while (change.index < 7) change = await addKeySlot(change.bytes, volumeKey, own)
  for (const { offsetBytes, bytes: block } of change.writes) {
    assert.equal(offsetBytes % 4096, 0)
    assert.ok(block.length % 4096 === 0 || offsetBytes + block.length === tight.length)
  }
})

test('the record lies in the header where two copies fit, else beside the disk', async () => {
  const at = (payloadOffsetBytes: number) => {
    const moved = Buffer.from(bytes)
    moved.writeUInt32BE(payloadOffsetBytes / 512, 104)
    return recordPlaceOf(parseHeader(moved))
  }
  // The last key slot ends at sector 4036 (3536 + 500).
  assert.equal(at((4036 + 32) * 512), 'header')
  assert.equal(at((4036 + 31) * 512), 'file')
  assert.equal(at(4040 * 512), 'file')
  assert.equal(at(4096 * 512), 'header')
})

test('an adoption that is cut anywhere, some sectors written and some not, leaves a volume that opens', async () => {
  const added = await addKeySlot(bytes, volumeKey, own)
  const renewed = await renewDigest(added.bytes, volumeKey)
  const removed = await removeKeySlots(renewed.bytes, [0], own)
  const writes = [...added.writes, ...renewed.writes, ...removed.writes]
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: writes.length - 1 }), fc.infiniteStream(fc.boolean()), async (index, sectors) => {
      const [write] = writes.slice(index)
      assert.ok(write !== undefined)
      const volume = torn(written(bytes, writes.slice(0, index)), write, () => sectors.next().value === true)
      const passphrase = index < added.writes.length ? foreign : own
      await opens(volume, passphrase, `write ${index}`)
    }),
    { numRuns: 60 },
  )
})
