import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StorageFile, StorageFolder } from '@cryptvisor/storage'
import fc from 'fast-check'
import { SeededRandom } from '../random.ts'
import { SimulatedStorage } from './simulated-storage.ts'
import { type Survival, sectorBytes } from './survival.ts'

const oldBytes = Buffer.alloc(3000, 'old')
const newBytes = Buffer.alloc(5000, 'new')

const seedCount = 40

/** Every fate that a cut may have, the seeded ones from `seed` on. */
function fates(seed: number): Survival[] {
  const seeded = Array.from({ length: seedCount }, (_, at) => new SeededRandom(seed + at))
  return ['nothing', 'everything', 'killed', ...seeded]
}

async function rootOf(storage: SimulatedStorage): Promise<StorageFolder> {
  const root = await storage.openFolder('/')
  assert.ok(root !== null)
  return root
}

async function writeAll(file: StorageFile, bytes: Uint8Array): Promise<void> {
  assert.equal(await file.write(bytes, 0), bytes.length)
}

/** Replaces `document` as it should be done, or without one of the two syncs. */
async function replace(
  storage: SimulatedStorage,
  { fileSync, folderSync }: Record<'fileSync' | 'folderSync', boolean>,
) {
  await using root = await rootOf(storage)
  {
    await using file = await root.createFile('document.new')
    await writeAll(file, newBytes)
    if (fileSync) await file.sync()
  }
  await root.rename('document.new', 'document')
  if (folderSync) await root.sync()
}

/** What `document` holds after each cut of a replacement, as far as it is neither old nor new; and whether the end is durable. */
async function sweep(how: Record<'fileSync' | 'folderSync', boolean>) {
  const storage = new SimulatedStorage()
  storage.plant('/document', { kind: 'file', bytes: oldBytes })
  await replace(storage, how)
  const broken: string[] = []
  const atTheEnd = new Set<string>()
  const seen = new Set<string>()
  // Event 0 is the planting.
  for (let at = 1; at <= storage.trace.length; at++) {
    for (const fate of fates(at * seedCount)) {
      const found = storage.cut(at, fate).files().get('/document')
      const what = found?.equals(oldBytes) === true ? 'old' : found?.equals(newBytes) === true ? 'new' : 'broken'
      seen.add(what)
      if (what === 'broken') broken.push(`event ${at}, ${String(fate)}`)
      if (at === storage.trace.length) atTheEnd.add(what)
    }
  }
  return { broken, atTheEnd: [...atTheEnd].toSorted(), seen: [...seen].toSorted() }
}

test('a file replaced by write, sync, rename and sync of the folder is old or new at every cut, and new at the end', async () => {
  const { broken, atTheEnd, seen } = await sweep({ fileSync: true, folderSync: true })
  assert.deepEqual(broken, [])
  assert.deepEqual(seen, ['new', 'old'])
  assert.deepEqual(atTheEnd, ['new'])
})

test('a replacement without the sync of the file is caught', async () => {
  const { broken } = await sweep({ fileSync: false, folderSync: true })
  assert.ok(broken.length > 0)
})

test('a replacement without the sync of the folder is caught', async () => {
  const { broken, atTheEnd } = await sweep({ fileSync: true, folderSync: false })
  assert.deepEqual(broken, [])
  assert.deepEqual(atTheEnd, ['new', 'old'])
})

test('two writes of one file may come to the disk in the other order', async () => {
  const storage = new SimulatedStorage({ devices: { '/dev/a': 1024 } })
  await using device = await storage.openDevice('/dev/a', 'write')
  await device.write(Buffer.alloc(512, 1), 0)
  await device.write(Buffer.alloc(512, 2), 512)
  const seen = new Set<string>()
  for (const fate of fates(1)) {
    const bytes = storage.cut(2, fate).files().get('/dev/a')
    seen.add(`${bytes?.[0]}${bytes?.[512]}`)
  }
  assert.deepEqual([...seen].toSorted(), ['00', '02', '10', '12'])
})

test('what a failed sync gave up no later sync makes durable', async () => {
  const storage = new SimulatedStorage({ devices: { '/dev/a': 1024 } })
  await using device = await storage.openDevice('/dev/a', 'write')
  await device.write(Buffer.alloc(512, 1), 0)
  storage.failNext('sync', { code: 'EIO' })
  await assert.rejects(device.sync(), { code: 'EIO' })
  await device.write(Buffer.alloc(512, 2), 512)
  await device.sync()
  const bytes = storage.cut(storage.trace.length, 'nothing').files().get('/dev/a')
  assert.deepEqual([bytes?.[0], bytes?.[512]], [0, 2])
  assert.deepEqual([...(storage.files().get('/dev/a') ?? [])].slice(510, 514), [1, 1, 2, 2])
})

test('a process that is killed loses nothing, but a power cut after that may', async () => {
  const storage = new SimulatedStorage()
  await using root = await rootOf(storage)
  await using file = await root.createFile('a')
  await writeAll(file, newBytes)
  const killed = storage.cut(2, 'killed')
  assert.deepEqual(killed.files().get('/a'), newBytes)
  assert.deepEqual(killed.cut(0, 'nothing').paths(), [])
  assert.deepEqual(storage.cut(2, 'everything').cut(0, 'nothing').files().get('/a'), newBytes)
})

test('what came to the disk past the end that a cut left is not in the file when it grows again', async () => {
  const storage = new SimulatedStorage()
  await using root = await rootOf(storage)
  await using file = await root.createFile('a')
  await root.sync()
  await file.write(newBytes, 0)
  await file.write(oldBytes, 1000)
  let shorter = 0
  for (const fate of fates(1)) {
    const found = storage.cut(storage.trace.length, fate)
    const left = found.files().get('/a')
    assert.ok(left !== undefined)
    if (left.length < newBytes.length) shorter++
    await using again = await (await rootOf(found)).openFile('a', 'write')
    await again.truncate(newBytes.length)
    assert.deepEqual(found.files().get('/a'), Buffer.concat([left, Buffer.alloc(newBytes.length - left.length)]))
  }
  assert.ok(shorter > 0)
})

/** What a program may do to one file. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    position: fc.nat(9000),
    sizeBytes: fc.integer({ min: 1, max: 6000 }),
  }),
  fc.record({ kind: fc.constant('truncate' as const), sizeBytes: fc.nat(12_000) }),
  fc.record({ kind: fc.constant('allocate' as const), sizeBytes: fc.nat(12_000) }),
  fc.record({ kind: fc.constant('sync' as const) }),
)

test('after a cut each sector is as it was at some moment since the last sync', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), fc.nat(0xffff_ffff), async (steps, seed) => {
      const storage = new SimulatedStorage()
      await using root = await rootOf(storage)
      await using file = await root.createFile('a')
      await root.sync()
      const first = storage.trace.length
      /** The file after each event, and from which of these states on it is not durable. */
      const states: Buffer[] = [Buffer.alloc(0)]
      let durable = 0
      for (const [at, what] of steps.entries()) {
        if (what.kind === 'write') await file.write(Buffer.alloc(what.sizeBytes, at + 1), what.position)
        else if (what.kind === 'truncate') await file.truncate(what.sizeBytes)
        else if (what.kind === 'allocate') await file.allocate(what.sizeBytes)
        else await file.sync()
        states.push(storage.files().get('/a') ?? Buffer.alloc(0))
        if (what.kind === 'sync') durable = states.length - 1
        assertPossible(cutBytes(storage, 'nothing'), states.slice(durable, durable + 1))
        assertPossible(cutBytes(storage, 'everything'), states.slice(-1))
        assertPossible(cutBytes(storage, new SeededRandom(seed)), states.slice(durable))
      }
      const random = new SeededRandom(seed)
      const at = first + random.below(steps.length + 1)
      const syncs = steps.slice(0, at - first).findLastIndex(({ kind }) => kind === 'sync')
      const possible = states.slice(syncs + 1, at - first + 1)
      assertPossible(storage.cut(at, random).files().get('/a'), possible)
    }),
    { numRuns: 150 },
  )
})

function cutBytes(storage: SimulatedStorage, fate: Survival): Buffer | undefined {
  return storage.cut(storage.trace.length, fate).files().get('/a')
}

/** Each sector of `found` is that of one of `states`, or a hole's; its size lies between theirs. */
function assertPossible(found: Buffer | undefined, states: readonly Buffer[]): void {
  assert.ok(found !== undefined)
  const sizes = states.map(({ length }) => length)
  assert.ok(found.length >= Math.min(...sizes) && found.length <= Math.max(...sizes), `${found.length} of ${sizes}`)
  if (states.length === 1) assert.deepEqual(found, states[0])
  for (let at = 0; at < found.length; at += sectorBytes) {
    const sector = found.subarray(at, at + sectorBytes)
    const padded = (bytes: Buffer) => Buffer.concat([bytes.subarray(at, at + sectorBytes), Buffer.alloc(sectorBytes)])
    const known = states.some((state) => padded(state).subarray(0, sector.length).equals(sector))
    // The end may lie inside a sector that was longer once, and what lies past an end is zeros.
    const cutOff = states.some((state) => withoutTail(sector, padded(state)))
    assert.ok(known || cutOff, `the sector at ${at} was never so`)
  }
}

/** Whether `sector` begins as `state` does and has nothing but zeros from some byte on. */
function withoutTail(sector: Buffer, state: Buffer): boolean {
  let same = 0
  while (same < sector.length && sector[same] === state[same]) same++
  return sector.subarray(same).every((byte) => byte === 0)
}
