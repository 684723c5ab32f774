import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { truncateSync } from 'node:fs'
import { test } from 'node:test'
import { runTool } from '../process/tool.ts'
import type { Image } from './image.ts'
import { openReading } from './open-reading.ts'
import { scan } from './scan.ts'
import type { Source } from './source.ts'
import { openSource } from './source-file.ts'
import { ImageFolder, unhurried } from './testing/images.ts'
import { transfer } from './transfer.ts'
import { zeroPlace } from './zero-file.ts'

const mib = 1_048_576

/** Small, so that little is read at once. */
const chunkBytes = 65_536

/** Reads a source whole, and in pieces of all kinds. */
async function readAll(source: Source, guest = false): Promise<Buffer> {
  await using file = await openSource(source)
  await using reading = await openReading(file, { chunkBytes, guest })
  const bytes = Buffer.from(await reading.read(0, reading.sizeBytes))
  const pieces = [0, 1, 511, 4097, 70_001, reading.sizeBytes - 1].filter((at) => at < bytes.length)
  const found = await Promise.all(
    pieces.map((at) => reading.read(at, Math.min(chunkBytes + 7, reading.sizeBytes - at))),
  )
  for (const [index, at] of pieces.entries()) {
    assert.ok(bytes.subarray(at, at + chunkBytes + 7).equals(found[index] ?? Buffer.alloc(0)), `from ${at} on`)
  }
  return bytes
}

for (const sizeBytes of [1, 512, 4095, 65_537, mib + 513]) {
  test(`an image of ${sizeBytes} bytes is read at any place, plain or out of LUKS`, async (context) => {
    const folder = await ImageFolder.open(context)
    const plain = folder.plainImage('disk.raw', sizeBytes)
    const luks = await folder.luksImage('disk.luks', sizeBytes)
    await transfer(plain, luks, unhurried())
    for (const image of [plain, luks]) assert.ok((await readAll(image)).equals(folder.bytes('disk.raw')))
    assert.equal(luks.volumeKey.wiped, false)
  })
}

test('zeros are read too', async () => {
  assert.ok((await readAll({ kind: 'plain', place: zeroPlace(5000), sizeBytes: 5000 })).equals(Buffer.alloc(5000)))
})

test('a thin image is read as QEMU reads it, and the disk in it is what it was made of', async (context) => {
  const folder = await ImageFolder.open(context)
  const bytes = Buffer.concat([randomBytes(70_000), Buffer.alloc(2 * mib), randomBytes(1168), Buffer.alloc(512)])
  const raw = folder.plainImage('disk.raw', bytes.length, bytes)
  const thin = await readAll(await scan(raw, unhurried()))
  const qcow2 = folder.plainImage('disk.qcow2', thin.length, thin)
  const paths = [raw.place.path, qcow2.place.path]
  const { exitCode, stdout } = await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', ...paths])
  assert.equal(exitCode, 0, stdout)
  const luks = await folder.luksImage('disk.luks', thin.length)
  await transfer(qcow2, luks, unhurried())
  for (const image of [qcow2, luks]) assert.ok((await readAll(image, true)).equals(bytes))
})

test('images that cannot be read say so before the first byte, others where they end', async (context) => {
  const folder = await ImageFolder.open(context)
  const open = async (image: Image, guest: boolean) => {
    await using file = await openSource(image)
    await using reading = await openReading(file, { chunkBytes, guest })
    truncateSync(image.place.path, 4096)
    return await reading.read(0, 8192)
  }
  const noise = folder.plainImage('noise.qcow2', 65_536)
  await assert.rejects(open(noise, true), { name: 'DataPathError', code: 'bad-image' })
  const cut = folder.plainImage('cut.raw', 65_536)
  await assert.rejects(open(cut, false), { code: 'truncated', message: /cut\.raw/ })
  await using file = await openSource(folder.plainImage('short.raw', 1000))
  await using reading = await openReading(file, { chunkBytes, guest: false })
  await assert.rejects(reading.read(0, 1001), { code: 'truncated' })
  await assert.rejects(reading.read(5000, 1), { code: 'truncated' })
  assert.equal((await reading.read(999, 1)).length, 1)
})
