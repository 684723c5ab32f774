import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type FaultOutcome, SimulatedStorage, type StorageCall } from '@cryptvisor/testkit'
import type { DataPathErrorCode } from './data-path-error.ts'
import type { Image } from './image.ts'
import { placeIn } from './place.ts'
import { newLuksImage, unhurried } from './testing/images.ts'
import { type TransferOptions, transfer } from './transfer.ts'
import { verify } from './verify.ts'

const chunkBytes = 65_536
const sizeBytes = 10 * chunkBytes + 1001

const options: TransferOptions = { ...unhurried(), lanes: { laneCount: 1, chunkBytes } }

/** A plain source, and a LUKS and a plain target, on a disk whose calls can be made to fail. */
async function machine(fileSystem: { capacityBytes?: number; direct?: boolean } = {}) {
  const storage = new SimulatedStorage({ fileSystems: { '/disk': fileSystem } })
  storage.plant('/disk/source.raw', { kind: 'file', bytes: randomBytes(sizeBytes) })
  const folder = await storage.openFolder('/disk')
  assert.ok(folder !== null)
  const plain = (name: string): Image => ({ kind: 'plain', place: placeIn(folder, name), sizeBytes })
  const luks = await newLuksImage(placeIn(folder, 'target.luks'), sizeBytes)
  return { storage, source: plain('source.raw'), luks, targets: [luks, plain('target.raw')] as const }
}

const isAt = (kind: StorageCall['kind'], path: string, position: number) => (call: StorageCall) =>
  call.kind === kind && call.path.endsWith(path) && (call.position ?? -1) >= position

const failures: readonly (readonly [
  name: string,
  when: (call: StorageCall) => boolean,
  outcome: FaultOutcome,
  code: DataPathErrorCode,
])[] = [
  ['a read error', isAt('read', 'source.raw', 3 * chunkBytes), { code: 'EIO' }, 'io'],
  ['a write error', isAt('write', '', 3 * chunkBytes), { code: 'EIO' }, 'io'],
  ['a full disk', isAt('write', '', 3 * chunkBytes), { code: 'ENOSPC' }, 'no-space'],
  ['a full quota', isAt('write', '', 3 * chunkBytes), { code: 'EDQUOT' }, 'no-space'],
  ['a read-only file system', isAt('write', '', 0), { code: 'EROFS' }, 'io'],
  ['a source that ends early', isAt('read', 'source.raw', 3 * chunkBytes), { sizeBytesMax: 0 }, 'truncated'],
  ['a sync that fails', ({ kind }) => kind === 'sync', { code: 'EIO' }, 'io'],
  ['a name that cannot be synced', ({ kind }) => kind === 'sync-folder', { code: 'EIO' }, 'io'],
]

for (const [name, when, outcome, code] of failures) {
  test(`${name} is a clear error, and the source is untouched`, async () => {
    const { storage, source, targets } = await machine()
    const before = storage.files().get('/disk/source.raw')
    for (const target of targets) {
      storage.fail({ when, outcome, times: 1 })
      await assert.rejects(transfer(source, target, options), (error: Error & { code?: string }) => {
        assert.equal(error.code, code)
        assert.match(error.message, /\/disk\/(source|target)\./)
        return true
      })
      storage.clearFaults()
      assert.deepEqual(storage.files().get('/disk/source.raw'), before)
    }
  })
}

test('a disk without room is refused before a byte is written', async () => {
  const { storage, source, targets } = await machine({ capacityBytes: 2 * 1_048_576 + 2 * sizeBytes + 65_536 })
  for (const target of targets) {
    storage.plant('/disk/filler', { kind: 'file', bytes: Buffer.alloc(sizeBytes) })
    const events = storage.trace.length
    await assert.rejects(transfer(source, target, options), { code: 'no-space', message: /\d+ are missing/ })
    assert.equal(storage.trace.length, events)
  }
})

test('short reads and writes are gone on with, to the same bytes', async () => {
  for (const sizeBytesMax of [1, 1000, 4096, 5000]) {
    const { storage, source, targets } = await machine()
    const whole = storage.files().get('/disk/source.raw')
    for (const target of targets) {
      storage.fail({ when: ({ kind }) => kind === 'read' || kind === 'write', outcome: { sizeBytesMax }, times: 200 })
      await transfer(source, target, options)
      storage.clearFaults()
      storage.fail({ when: isAt('read', 'source.raw', 0), outcome: { sizeBytesMax }, times: 100 })
      await verify(source, target, options)
      storage.clearFaults()
    }
    assert.deepEqual(storage.files().get('/disk/target.raw'), whole)
  }
})

test('a bit that turned over on its way to the disk, or back, is found', async () => {
  const { storage, source, targets } = await machine()
  for (const target of targets) {
    await transfer(source, target, options)
    const { path } = target.place
    const start = target.kind === 'luks' ? target.payloadOffsetBytes : 0
    for (const position of [start + chunkBytes, start + 5 * chunkBytes, start + 10 * chunkBytes]) {
      storage.fail({ when: isAt('read', path, position), outcome: { flipBit: 100 }, times: 1 })
      await assert.rejects(verify(source, target, options), { code: /^(mismatch|padding-not-zero)$/ })
    }
    storage.clearFaults()
    await verify(source, target, options)
  }
})

test('a file system without direct reads and writes is worked on through its cache, and verification says so', async () => {
  for (const direct of [true, false]) {
    const { storage, source, targets } = await machine({ direct })
    for (const target of targets) {
      await transfer(source, target, { ...options, direct: true })
      const { readBack } = await verify(source, target, { ...options, direct: true })
      assert.equal(readBack, direct ? 'device' : 'page-cache')
    }
    const files = storage.files()
    assert.deepEqual(files.get('/disk/target.raw'), files.get('/disk/source.raw'))
  }
})

test('nothing is moved while it is paused, and it stops while it is', async () => {
  const { storage, source, luks } = await machine()
  const { pace, ...rest } = options
  const controller = new AbortController()
  pace.pause()
  const running = transfer(source, luks, { ...rest, pace, signal: controller.signal })
  await new Promise((resolve) => setTimeout(resolve, 50))
  const written = storage.trace.filter(({ kind, path }) => kind === 'write' && path === luks.place.path)
  // Its header.
  assert.equal(written.length, 1)
  controller.abort()
  await assert.rejects(running, { code: 'aborted' })
  pace.resume()
})
