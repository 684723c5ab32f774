import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { SimulatedStorage } from '@cryptvisor/testkit'
import type { Image, LuksImage } from './image.ts'
import { devicePlace, placeIn } from './place.ts'
import { payloadOffsetBytes, unhurried } from './testing/images.ts'
import { type TransferOptions, transfer } from './transfer.ts'
import { verify } from './verify.ts'

const chunkBytes = 65_536
const options: TransferOptions = { ...unhurried(), lanes: { laneCount: 1, chunkBytes } }

/** Whole pages are moved past the page cache, the others through it. */
const sizes = [20 * chunkBytes, 20 * chunkBytes + 512, 1000]

/** A plain source in a file and two devices with 1 MiB more than a LUKS image of it takes. */
async function machine(sizeBytes: number) {
  const spaceBytes = payloadOffsetBytes + Math.ceil(sizeBytes / 512) * 512 + 1_048_576
  const storage = new SimulatedStorage({
    fileSystems: { '/disk': {} },
    devices: { '/dev/one': spaceBytes, '/dev/two': spaceBytes },
  })
  storage.plant('/disk/source.raw', { kind: 'file', bytes: randomBytes(sizeBytes) })
  const folder = await storage.openFolder('/disk')
  assert.ok(folder !== null)
  const source: Image = { kind: 'plain', place: placeIn(folder, 'source.raw'), sizeBytes }
  const plain: Image = { kind: 'plain', place: devicePlace(storage, '/dev/two'), sizeBytes }
  const luks: LuksImage = {
    ...({ kind: 'luks', payloadOffsetBytes, sizeBytes } as const),
    ...{ place: devicePlace(storage, '/dev/one'), volumeKey: Secret.random(64) },
  }
  return { storage, folder, source, plain, luks }
}

for (const sizeBytes of sizes) {
  test(`${sizeBytes} bytes go to one device, to another and back, and nothing beside them is touched`, async () => {
    const { storage, folder, source, plain, luks } = await machine(sizeBytes)
    const back: Image = { kind: 'plain', place: placeIn(folder, 'back.raw'), sizeBytes }
    for (const [from, to] of [
      [source, luks],
      [luks, plain],
      [plain, back],
    ] as const) {
      await transfer(from, to, options)
      await verify(from, to, options)
    }
    const files = storage.files()
    assert.deepEqual(files.get('/disk/back.raw'), files.get('/disk/source.raw'))
    const [one, two] = [files.get('/dev/one'), files.get('/dev/two')]
    assert.ok(one !== undefined && two !== undefined)
    const end = payloadOffsetBytes + Math.ceil(sizeBytes / 512) * 512
    for (const beside of [one.subarray(0, payloadOffsetBytes), one.subarray(end), two.subarray(sizeBytes)]) {
      assert.ok(beside.every((byte) => byte === 0))
    }
  })
}

test('a transfer to a device goes on where its checkpoint says', async () => {
  const sizeBytes = 20 * chunkBytes
  const { storage, source, luks } = await machine(sizeBytes)
  const controller = new AbortController()
  let saved = 0
  const save = async (doneBytes: number) => {
    saved = doneBytes
    controller.abort()
  }
  const stopping = { ...options, signal: controller.signal, checkpoint: { everyBytes: 4 * chunkBytes, save } }
  await assert.rejects(transfer(source, luks, stopping), { code: 'aborted' })
  const events = storage.trace.length
  await transfer(source, luks, { ...options, resumeAtBytes: saved })
  await verify(source, luks, options)
  const first = storage.trace.slice(events).find(({ kind }) => kind === 'write')
  assert.ok(first?.kind === 'write' && first.position === payloadOffsetBytes + saved)
})

test('a device that is too small, in use or none is refused', async () => {
  const { storage, source, luks, plain } = await machine(10 * chunkBytes)
  const large = { ...source, sizeBytes: 100 * chunkBytes }
  storage.plant('/disk/source.raw', { kind: 'file', bytes: Buffer.alloc(large.sizeBytes) })
  await assert.rejects(transfer(large, { ...plain, sizeBytes: large.sizeBytes }, options), { code: 'no-space' })
  storage.plant('/disk/source.raw', { kind: 'file', bytes: Buffer.alloc(source.sizeBytes) })
  {
    await using _ = await storage.openDevice('/dev/one', 'write')
    await assert.rejects(transfer(source, luks, options), { code: 'io', message: /EBUSY/ })
  }
  const file: Image = { ...plain, place: devicePlace(storage, '/disk/source.raw') }
  await assert.rejects(transfer(source, file, options), { code: 'not-regular' })
  assert.equal(
    storage
      .files()
      .get('/dev/one')
      ?.every((byte) => byte === 0),
    true,
  )
})
