import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { createXts } from '@cryptvisor/crypto'
import type { LuksImage } from './image.ts'
import { openDirect } from './read-back.ts'
import { ImageFolder, payloadOffsetBytes, unhurried } from './testing/images.ts'
import { transfer } from './transfer.ts'
import { verify } from './verify.ts'

const chunkBytes = 65_536

/** Odd sizes, whole pages and chunks, and one more or less of each. */
const sizes = [1, 4095, 4097, 7 * chunkBytes, 20 * chunkBytes + 4096 + 511]

/** Few lanes and many; past the page cache, where the folder's file system has that, and through it. */
const settings = [
  { laneCount: 1, direct: true },
  { laneCount: 2, direct: false },
  { laneCount: 3, direct: true },
]

for (const sizeBytes of sizes) {
  test(`${sizeBytes} bytes come out the same, however many lanes move them and whichever way`, async (context) => {
    const folder = await ImageFolder.open(context)
    const source = folder.plainImage('source.raw', sizeBytes)
    const first = await folder.luksImage('0.luks', sizeBytes)
    await transfer(source, first, unhurried())
    const header = folder.bytes('0.luks').subarray(0, payloadOffsetBytes)
    for (const [at, { laneCount, direct }] of settings.entries()) {
      const options = { ...unhurried(), lanes: { laneCount, chunkBytes, mainThreadToo: true }, direct }
      const luks: LuksImage = { ...first, place: folder.place(`${at + 1}.luks`) }
      folder.plainImage(`${at + 1}.luks`, payloadOffsetBytes, header)
      await transfer(source, luks, options)
      await verify(source, luks, options)
      assert.ok(folder.bytes(`${at + 1}.luks`).equals(folder.bytes('0.luks')), `${laneCount} lanes, direct: ${direct}`)
      const plain = folder.plain(`${at + 1}.raw`, sizeBytes)
      await transfer(luks, plain, options)
      await verify(luks, plain, options)
      assert.ok(folder.bytes(`${at + 1}.raw`).equals(folder.bytes('source.raw')))
    }
  })
}

test('more lanes than chunks, and one of them in this thread, do the same', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', chunkBytes + 1)
  for (const mainThreadToo of [false, true]) {
    const target = folder.plain(`${mainThreadToo}.raw`, source.sizeBytes)
    await transfer(source, target, { ...unhurried(), lanes: { laneCount: 8, chunkBytes, mainThreadToo } })
    assert.ok(readFileSync(target.place.path).equals(folder.bytes('source.raw')))
  }
})

test('each lane finds what differs, wherever it is', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 9 * chunkBytes + 5)
  const target = folder.plain('target.raw', source.sizeBytes)
  await transfer(source, target, unhurried())
  const file = openSync(target.place.path, 'r+')
  for (const offset of [0, chunkBytes, 5 * chunkBytes - 1, source.sizeBytes - 1]) {
    const byte = folder.bytes('target.raw')[offset] ?? 0
    writeSync(file, Uint8Array.of(byte ^ 0x40), 0, 1, offset)
    const options = { ...unhurried(), lanes: { laneCount: 3, chunkBytes } }
    await assert.rejects(verify(source, target, options), {
      code: 'mismatch',
      message: new RegExp(`offset ${offset} `),
    })
    writeSync(file, Uint8Array.of(byte), 0, 1, offset)
  }
  closeSync(file)
})

test('holes stay holes past the page cache too', async (context) => {
  const folder = await ImageFolder.open(context)
  const bytes = Buffer.alloc(40 * chunkBytes + 100)
  randomBytes(chunkBytes).copy(bytes, 17 * chunkBytes)
  bytes.write('the end', bytes.length - 7)
  const source = folder.plainImage('source.raw', bytes.length, bytes)
  const target = folder.plain('target.raw', bytes.length)
  await transfer(source, target, { ...unhurried(), lanes: { laneCount: 2, chunkBytes: 4 * chunkBytes }, direct: true })
  assert.ok(folder.bytes('target.raw').equals(bytes))
  assert.ok(statSync(target.place.path).blocks * 512 <= 3 * chunkBytes)
})

test('what is read back comes from the device where the file system can do that', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', chunkBytes)
  const target = folder.plain('target.raw', chunkBytes)
  await transfer(source, target, unhurried())
  const direct = await openDirect(target.place, 'read')
  await direct?.[Symbol.asyncDispose]()
  const { readBack } = await verify(source, target, unhurried())
  assert.equal(readBack, direct === null ? 'page-cache' : 'device')
})

for (const unitSizeBytes of [512, 4096] as const) {
  test(`a payload in units of ${unitSizeBytes} bytes is read, up to its odd end`, async (context) => {
    const folder = await ImageFolder.open(context)
    for (const sizeBytes of [1, 4096, 3 * chunkBytes + 600]) {
      const plain = randomBytes(sizeBytes)
      const luks: LuksImage = { ...(await folder.luksImage('disk.luks', sizeBytes)), unitSizeBytes }
      const payload = Buffer.alloc(Math.ceil(sizeBytes / unitSizeBytes) * unitSizeBytes)
      plain.copy(payload)
      using xts = createXts(luks.volumeKey, { unitSizeBytes, core: 'units' })
      xts.encrypt(payload, 0)
      folder.plainImage('disk.luks', 0, Buffer.concat([folder.bytes('disk.luks'), payload]))
      const target = folder.plain('target.raw', sizeBytes)
      const options = { ...unhurried(), lanes: { laneCount: 2, chunkBytes } }
      await transfer(luks, target, options)
      assert.ok(folder.bytes('target.raw').equals(plain))
      await verify(luks, target, options)
      await luks.place.remove()
      await target.place.remove()
    }
  })
}
