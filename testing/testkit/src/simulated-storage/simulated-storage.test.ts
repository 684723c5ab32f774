import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StorageFolder } from '@cryptvisor/storage'
import fc from 'fast-check'
import { SeededRandom } from '../random.ts'
import { PowerCut } from './fault.ts'
import { SimulatedStorage } from './simulated-storage.ts'

async function folderOf(storage: SimulatedStorage, path = '/'): Promise<StorageFolder> {
  const folder = await storage.openFolder(path)
  assert.ok(folder !== null)
  return folder
}

test('a full file system takes what fits, then nothing; what is removed makes room once it is closed', async () => {
  const storage = new SimulatedStorage({ fileSystems: { '/small': { capacityBytes: 8192 }, '/large': {} } })
  await using small = await folderOf(storage, '/small')
  await using file = await small.createFile('a')
  assert.equal(await file.write(Buffer.alloc(10_000), 100), 8092)
  await assert.rejects(file.write(Buffer.alloc(10), 8192), { code: 'ENOSPC' })
  assert.equal(await file.write(Buffer.alloc(10), 100), 10)
  assert.equal(await small.freeBytes(), 0)
  await small.removeFile('a')
  await using other = await small.createFile('b')
  await assert.rejects(other.allocate(1), { code: 'ENOSPC' })
  await file[Symbol.asyncDispose]()
  assert.equal(await other.allocate(8192), true)
  await assert.rejects(other.allocate(8193), { code: 'ENOSPC' })
  const grown = storage.withCapacity('/small', storage.usedBytes('/small') + 4096)
  await using more = await folderOf(grown, '/small')
  assert.equal(await more.freeBytes(), 4096)
  await using large = await folderOf(storage, '/large')
  await using room = await large.createFile('a')
  assert.equal(await room.write(Buffer.alloc(10_000), 0), 10_000)
})

test('calls fail as they are told to, once', async () => {
  const storage = new SimulatedStorage()
  await using root = await folderOf(storage)
  await using file = await root.createFile('a')
  storage.failNext('write', { code: 'EIO' })
  await assert.rejects(file.write(Buffer.from('abc'), 0), { code: 'EIO' })
  assert.equal(await file.write(Buffer.from('abc'), 0), 3)
  storage.failNext('write', { sizeBytesMax: 2 })
  assert.equal(await file.write(Buffer.from('def'), 0), 2)
  const bytes = Buffer.alloc(3)
  storage.failNext('read', { sizeBytesMax: 1 })
  assert.deepEqual([await file.read(bytes, 0), String(bytes)], [1, 'd\0\0'])
  storage.failNext('read', { code: 'EIO' })
  assert.throws(() => file.readSync(bytes, 0), { code: 'EIO' })
  storage.failNext('read', { flipBit: 8 })
  assert.deepEqual([file.readSync(bytes, 0), String(bytes)], [3, 'ddc'])
  assert.deepEqual([file.readSync(bytes, 0), String(bytes)], [3, 'dec'])
  storage.failAt(storage.trace.length + 1, { code: 'ENOSPC' })
  await file.truncate(1)
  await file.read(bytes, 0)
  await assert.rejects(root.rename('a', 'b'), { code: 'ENOSPC' })
  storage.fail({ when: ({ path }) => path === '/b', outcome: { code: 'EACCES' }, times: 2 })
  await assert.rejects(root.rename('a', 'b'), { code: 'EACCES' })
  await assert.rejects(root.createFile('b'), { code: 'EACCES' })
  await root.rename('a', 'b')
  storage.failNext('stat', { code: 'EIO' })
  storage.clearFaults()
  assert.equal((await root.stat('b'))?.sizeBytes, 1)
})

test('after its last event a machine does nothing more', async () => {
  const storage = new SimulatedStorage()
  storage.stopAt(2)
  await using root = await folderOf(storage)
  await using file = await root.createFile('a')
  await file.write(Buffer.from('abc'), 0)
  assert.throws(() => file.readSync(Buffer.alloc(1), 0), PowerCut)
  await assert.rejects(file.sync(), PowerCut)
  await assert.rejects(root.stat('a'), PowerCut)
  await assert.rejects(storage.openFolder('/'), PowerCut)
  assert.equal(storage.trace.length, 2)
})

test('a file system may lack locks and O_DIRECT', async () => {
  const storage = new SimulatedStorage({ fileSystems: { '/': { locks: false, direct: false } } })
  await using root = await folderOf(storage)
  await using file = await root.createFile('a')
  await assert.rejects(file.lock(), { code: 'ENOLCK' })
  await assert.rejects(root.openFile('a', 'read', { direct: true }), { code: 'EINVAL' })
})

test('on a disk that lies a sync makes nothing durable', async () => {
  const storage = new SimulatedStorage({ fileSystems: { '/': { lies: true } } })
  await using root = await folderOf(storage)
  await using file = await root.createFile('a')
  await file.write(Buffer.from('abc'), 0)
  await file.sync()
  await root.sync()
  assert.deepEqual(storage.cut(storage.trace.length, 'nothing').paths(), [])
  assert.deepEqual(storage.cut(storage.trace.length, 'everything').paths(), ['/a'])
})

test('what a test plants is there and durable', async () => {
  const storage = new SimulatedStorage()
  storage.plant('/vm/a', { kind: 'file', bytes: Buffer.from('one') })
  storage.plant('/vm/b', { kind: 'name', of: 'a' })
  storage.plant('/elsewhere', { kind: 'link', target: 'vm' })
  storage.plant('/around', { kind: 'link', target: '/around' })
  const found = storage.cut(storage.trace.length, 'nothing')
  assert.deepEqual(found.paths(), ['/vm/', '/vm/a', '/vm/b', '/elsewhere', '/around'])
  await using folder = await folderOf(found, '/elsewhere')
  assert.equal((await folder.stat('b'))?.linkCount, 2)
  await assert.rejects(found.openFolder('/around'), { code: 'ELOOP' })
  assert.deepEqual(String(found.liveBytes()), 'oneone')
})

test('a folder whose own name was not made durable takes all in it along', async () => {
  const storage = new SimulatedStorage()
  await using root = await folderOf(storage)
  await root.makeFolder('vm')
  await using folder = await folderOf(storage, '/vm')
  await using file = await folder.createFile('a')
  await file.sync()
  await folder.sync()
  assert.deepEqual(storage.cut(storage.trace.length, 'nothing').paths(), [])
  await root.sync()
  assert.deepEqual(storage.cut(storage.trace.length, 'nothing').paths(), ['/vm/', '/vm/a'])
  await folder.removeFile('a')
  await root.removeFolder('vm')
  assert.deepEqual(storage.cut(storage.trace.length, 'nothing').paths(), ['/vm/', '/vm/a'])
  await root.sync()
  assert.deepEqual(storage.cut(storage.trace.length, 'nothing').paths(), [])
})

test('of two removals either, both or none may have come to the disk', async () => {
  const storage = new SimulatedStorage()
  storage.plant('/a', { kind: 'file', bytes: Buffer.from('a') })
  storage.plant('/b', { kind: 'file', bytes: Buffer.from('b') })
  await using root = await folderOf(storage)
  await root.removeFile('a')
  await root.removeFile('b')
  const seen = new Set<string>()
  for (let seed = 0; seed < 60; seed++) {
    seen.add(String(storage.cut(storage.trace.length, new SeededRandom(seed)).liveBytes()))
  }
  assert.deepEqual([...seen].toSorted(), ['', 'a', 'ab', 'b'])
})

const name = fc.constantFrom('a', 'b', 'c')
const nameStep = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), name }),
  fc.record({ kind: fc.constant('rename' as const), name, to: name }),
  fc.record({ kind: fc.constant('remove' as const), name }),
  fc.record({ kind: fc.constant('sync' as const) }),
)

test('after a cut each name has what it had at some moment since the last sync, and a renamed file is not lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(nameStep, { maxLength: 12 }), fc.nat(0xffff_ffff), async (steps, seed) => {
      const storage = new SimulatedStorage()
      await using root = await folderOf(storage)
      const states = [new Map<string, string>()]
      const removed = new Set<string>()
      for (const [at, step] of steps.entries()) {
        const before = states.at(-1) ?? new Map<string, string>()
        if (step.kind === 'sync') {
          await root.sync()
          states.splice(0, states.length - 1)
          removed.clear()
        } else if (step.kind === 'create') {
          await using file = await root.createFile(step.name).catch(() => null)
          await file?.write(Buffer.from(`${at}`), 0)
          await file?.sync()
        } else if (step.kind === 'remove') {
          if (
            await root.removeFile(step.name).then(
              () => true,
              () => false,
            )
          )
            removed.add(before.get(step.name) ?? '')
        } else if (
          await root.rename(step.name, step.to).then(
            () => true,
            () => false,
          )
        ) {
          if (step.name !== step.to) removed.add(before.get(step.to) ?? '')
        }
        states.push(contentsOf(storage))
        const durable = states[0] ?? new Map<string, string>()
        const random = new SeededRandom(seed)
        for (let count = 0; count < 8; count++) {
          const found = contentsOf(storage.cut(storage.trace.length, random))
          for (const [name, text] of found) {
            assert.ok(
              states.some((state) => state.get(name) === text),
              `${name} never had ${text}`,
            )
          }
          for (const text of durable.values()) {
            if (!removed.has(text)) assert.ok([...found.values()].includes(text), `${text} is lost`)
          }
          assert.equal(new Set(found.values()).size, found.size, 'no file has two names')
        }
        assert.deepEqual(contentsOf(storage.cut(storage.trace.length, 'nothing')), durable)
        assert.deepEqual(contentsOf(storage.cut(storage.trace.length, 'everything')), contentsOf(storage))
      }
    }),
    { numRuns: 200 },
  )
})

function contentsOf(storage: SimulatedStorage): Map<string, string> {
  return new Map([...storage.files()].map(([path, bytes]) => [path.slice(1), String(bytes)] as const).toSorted())
}
