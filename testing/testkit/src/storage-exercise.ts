import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directAlignmentBytes, type Storage, type StorageFolder } from '@cryptvisor/storage'

/** A storage to exercise, and what no storage can do by itself. Disposing of it leaves nothing. */
export interface ExercisedPlace extends AsyncDisposable {
  readonly storage: Storage
  /** A folder with nothing in it. */
  readonly path: string
  plantLink(name: string, target: string): Promise<void>
  plantPipe(name: string): Promise<void>
}

/** A block device to exercise, of at least two blocks. */
export interface ExercisedDevice {
  readonly storage: Storage
  readonly path: string
  readonly sizeBytes: number
  /** The path of a file that is no device. */
  readonly filePath: string
}

const blockBytes = directAlignmentBytes

/** What every storage must do with files and folders; `make` gives a place of its own to each test. */
export function exerciseStorage(name: string, make: () => Promise<ExercisedPlace>): void {
  const exercise = (what: string, run: (folder: StorageFolder, place: ExercisedPlace) => Promise<void>) =>
    void test(`${name}: ${what}`, async () => {
      await using place = await make()
      await using folder = await place.storage.openFolder(place.path)
      assert.ok(folder !== null)
      await run(folder, place)
    })

  exercise('what is written is read, what lies between is zeros', async (folder) => {
    await using file = await folder.createFile('a')
    assert.equal(await file.write(Buffer.from('tail'), 10_000), 4)
    assert.equal(file.writeSync(Buffer.from('head'), 0), 4)
    await file.sync()
    const bytes = Buffer.alloc(20_000, 0xff)
    assert.equal(await file.read(bytes, 0), 10_004)
    assert.deepEqual(
      bytes.subarray(0, 10_004),
      Buffer.concat([Buffer.from('head'), Buffer.alloc(9996), Buffer.from('tail')]),
    )
    assert.equal(bytes[10_004], 0xff)
    assert.equal(file.readSync(bytes.subarray(0, 8), 9998), 6)
    assert.deepEqual(bytes.subarray(0, 6), Buffer.from('\0\0tail'))
    assert.equal(await file.read(bytes, 10_004), 0)
    assert.equal(await file.read(bytes, 99_999), 0)
    assert.deepEqual([file.path, file.direct], [`${folder.path}/a`, false])
  })

  exercise('what a writer does with its buffer later is not in the file', async (folder) => {
    await using file = await folder.createFile('a')
    const bytes = Buffer.alloc(blockBytes, 1)
    await file.write(bytes, 0)
    bytes.fill(2)
    const found = Buffer.alloc(blockBytes)
    await file.read(found, 0)
    found.fill(3, 0, 10)
    await file.read(bytes, 0)
    assert.deepEqual(bytes, Buffer.alloc(blockBytes, 1))
  })

  exercise('a file is cut off and lengthened with zeros', async (folder) => {
    await using file = await folder.createFile('a')
    await file.write(Buffer.alloc(10_000, 7), 0)
    await file.truncate(100)
    await file.truncate(9000)
    const bytes = Buffer.alloc(9001)
    assert.equal(await file.read(bytes, 0), 9000)
    assert.deepEqual(bytes.subarray(0, 9000), Buffer.concat([Buffer.alloc(100, 7), Buffer.alloc(8900)]))
    await file.truncate(0)
    assert.equal((await file.stat()).sizeBytes, 0)
  })

  exercise('holes take no room, room that was taken ahead reads as zeros', async (folder) => {
    await using hole = await folder.createFile('hole')
    await hole.truncate(8_388_608)
    await hole.sync()
    const empty = await hole.stat()
    assert.deepEqual([empty.sizeBytes, empty.kind], [8_388_608, 'file'])
    assert.ok(empty.allocatedBytes < 65_536)
    await hole.write(Buffer.alloc(blockBytes, 1), 4_194_304)
    await hole.sync()
    const { allocatedBytes } = await hole.stat()
    assert.ok(allocatedBytes >= blockBytes && allocatedBytes < 1_048_576)
    await using full = await folder.createFile('full')
    if (!(await full.allocate(1_000_000))) return
    const stats = await full.stat()
    assert.equal(stats.sizeBytes, 1_000_000)
    assert.ok(stats.allocatedBytes >= 1_000_000)
    const bytes = Buffer.alloc(blockBytes, 0xff)
    assert.equal(await full.read(bytes, 500_000), blockBytes)
    assert.deepEqual(bytes, Buffer.alloc(blockBytes))
    await full.allocate(10)
    assert.equal((await full.stat()).sizeBytes, 1_000_000)
  })

  exercise('a file that is open for reading is not written', async (folder) => {
    await (await folder.createFile('a'))[Symbol.asyncDispose]()
    await using file = await folder.openFile('a', 'read')
    await assert.rejects(file.write(Buffer.from('x'), 0), { code: 'EBADF' })
    assert.throws(() => file.writeSync(Buffer.from('x'), 0), { code: 'EBADF' })
    await assert.rejects(file.truncate(1), (error) => ['EBADF', 'EINVAL'].includes(codeOf(error)))
    assert.equal((await file.stat()).sizeBytes, 0)
  })

  exercise('a file goes on under its new name, and after it has lost it', async (folder) => {
    await using file = await folder.createFile('a')
    await folder.rename('a', 'b')
    await file.write(Buffer.from('one'), 0)
    assert.equal((await folder.stat('b'))?.sizeBytes, 3)
    assert.deepEqual([(await file.stat()).linkCount, await folder.stat('a')], [1, null])
    await folder.removeFile('b')
    await file.write(Buffer.from('two'), 3)
    const bytes = Buffer.alloc(6)
    assert.equal(await file.read(bytes, 0), 6)
    assert.deepEqual([String(bytes), (await file.stat()).linkCount], ['onetwo', 0])
    assert.deepEqual(await folder.names(), [])
  })

  exercise('a rename takes the place of what was there', async (folder) => {
    await using first = await folder.createFile('a')
    await using second = await folder.createFile('b')
    await first.write(Buffer.from('a'), 0)
    await second.write(Buffer.from('bb'), 0)
    await folder.rename('a', 'b')
    await folder.sync()
    assert.deepEqual(await folder.names(), ['b'])
    await using found = await folder.openFile('b', 'read')
    assert.equal((await found.stat()).sizeBytes, 1)
    assert.equal((await found.stat()).identity, (await first.stat()).identity)
    assert.notEqual((await found.stat()).identity, (await second.stat()).identity)
    await assert.rejects(folder.rename('a', 'b'), { code: 'ENOENT' })
    await folder.makeFolder('c')
    await assert.rejects(folder.rename('b', 'c'), { code: 'EISDIR' })
    await assert.rejects(folder.rename('c', 'b'), { code: 'ENOTDIR' })
  })

  exercise('a file gets a second name in another folder, and lives as long as it has one', async (folder) => {
    await folder.makeFolder('sub')
    await using sub = await folder.folder('sub')
    assert.ok(sub !== null)
    await using file = await folder.createFile('a')
    await file.write(Buffer.from('one'), 0)
    await folder.link('a', sub, 'b')
    for (const each of [folder, sub]) await each.sync()
    assert.deepEqual([(await file.stat()).linkCount, (await sub.stat('b'))?.linkCount], [2, 2])
    assert.equal((await sub.stat('b'))?.identity, (await folder.stat('a'))?.identity)
    await assert.rejects(folder.link('a', sub, 'b'), { code: 'EEXIST' })
    await assert.rejects(folder.link('none', sub, 'c'), { code: 'ENOENT' })
    await assert.rejects(folder.link('sub', sub, 'c'), { code: 'EPERM' })
    await folder.removeFile('a')
    await using found = await sub.openFile('b', 'read')
    assert.deepEqual([(await found.stat()).sizeBytes, (await found.stat()).linkCount], [3, 1])
  })

  exercise('folders are made, opened, emptied and removed', async (folder, { storage, path }) => {
    await folder.makeFolder('sub')
    await assert.rejects(folder.makeFolder('sub'), { code: 'EEXIST' })
    await using sub = await folder.folder('sub')
    assert.equal(sub?.path, `${folder.path}/sub`)
    await (await sub.createFile('a'))[Symbol.asyncDispose]()
    assert.deepEqual([await sub.names(), await folder.names()], [['a'], ['sub']])
    assert.deepEqual([(await folder.stat('sub'))?.kind, (await sub.stat('a'))?.kind], ['folder', 'file'])
    await using again = await storage.openFolder(`${path}/sub`)
    assert.deepEqual(await again?.names(), ['a'])
    await assert.rejects(folder.removeFolder('sub'), (error) => ['ENOTEMPTY', 'EEXIST'].includes(codeOf(error)))
    await assert.rejects(folder.removeFile('sub'), { code: 'EISDIR' })
    await sub.removeFile('a')
    await folder.removeFolder('sub')
    await assert.rejects(sub.createFile('b'), { code: 'ENOENT' })
    assert.deepEqual([await folder.folder('sub'), await storage.openFolder(`${path}/sub`)], [null, null])
    await folder.sync()
  })

  exercise('names that are taken, missing or not for a file', async (folder) => {
    await (await folder.createFile('a'))[Symbol.asyncDispose]()
    await folder.makeFolder('sub')
    await assert.rejects(folder.createFile('a'), { code: 'EEXIST' })
    await assert.rejects(folder.createFile('sub'), { code: 'EEXIST' })
    await assert.rejects(folder.openFile('b', 'read'), { code: 'ENOENT' })
    await assert.rejects(folder.removeFile('b'), { code: 'ENOENT' })
    await assert.rejects(folder.removeFolder('b'), { code: 'ENOENT' })
    await assert.rejects(folder.removeFolder('a'), { code: 'ENOTDIR' })
    await assert.rejects(folder.folder('a'), { code: 'ENOTDIR' })
    await assert.rejects(folder.openFile('sub', 'read'), { code: 'EINVAL' })
    await assert.rejects(folder.openFile('sub', 'write'), { code: 'EISDIR' })
    await assert.rejects(folder.createFile('n'.repeat(256)), { code: 'ENAMETOOLONG' })
    assert.equal(await folder.stat('b'), null)
    for (const name of ['', '.', '..', 'a/b', '../a', 'a\0b']) {
      await assert.rejects(folder.createFile(name), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.openFile(name, 'read'), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.folder(name), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.makeFolder(name), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.stat(name), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.rename('a', name), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.rename(name, 'a'), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.removeFile(name), { code: 'EINVAL' }, JSON.stringify(name))
      await assert.rejects(folder.removeFolder(name), { code: 'EINVAL' }, JSON.stringify(name))
    }
    assert.deepEqual((await folder.names()).toSorted(), ['a', 'sub'])
    assert.deepEqual((await folder.names(2)).toSorted(), ['a', 'sub'])
    assert.equal((await folder.names(1)).length, 1)
    assert.deepEqual(await folder.names(0), [])
  })

  exercise('links are followed above a folder, never below it', async (folder, { storage, path, plantLink }) => {
    await folder.makeFolder('sub')
    await (await folder.createFile('a'))[Symbol.asyncDispose]()
    await plantLink('to-sub', 'sub')
    await plantLink('to-a', 'a')
    await plantLink('nowhere', 'missing')
    await assert.rejects(folder.folder('to-sub'), { code: 'ENOTDIR' })
    await assert.rejects(folder.openFile('to-a', 'read'), { code: 'ELOOP' })
    await assert.rejects(folder.openFile('to-a', 'write'), { code: 'ELOOP' })
    await assert.rejects(folder.createFile('nowhere'), { code: 'EEXIST' })
    assert.deepEqual([(await folder.stat('to-a'))?.kind, await folder.stat('missing')], ['other', null])
    await using sub = await storage.openFolder(`${path}/to-sub`)
    assert.deepEqual(await sub?.names(), [])
    assert.equal(await storage.openFolder(`${path}/nowhere`), null)
    await assert.rejects(storage.openFolder(`${path}/a`), { code: 'ENOTDIR' })
    await folder.removeFile('to-a')
    assert.equal((await folder.stat('a'))?.kind, 'file')
  })

  exercise('a pipe is no file, and stops nobody', async (folder, { plantPipe }) => {
    await plantPipe('pipe')
    await assert.rejects(folder.openFile('pipe', 'read'), { code: 'EINVAL' })
    await assert.rejects(folder.openFile('pipe', 'write'), { code: 'EINVAL' })
    assert.equal((await folder.stat('pipe'))?.kind, 'other')
  })

  exercise('a file has one lock', async (folder) => {
    await using first = await folder.createFile('a')
    await using second = await folder.openFile('a', 'write')
    assert.equal(await first.lock(), true)
    assert.equal(await first.lock(), true)
    assert.equal(await second.lock(), false)
    await first[Symbol.asyncDispose]()
    assert.equal(await second.lock(), true)
  })

  exercise('time goes on with each change', async (folder) => {
    await using file = await folder.createFile('a')
    const { modifiedNs } = await file.stat()
    assert.ok(modifiedNs > 0n)
    await file.write(Buffer.from('x'), 0)
    await file.sync()
    assert.ok((await file.stat()).modifiedNs >= modifiedNs)
    assert.ok((await folder.freeBytes()) > 0)
  })

  exercise('direct reads and writes are aligned or refused', async (folder, { storage, path }) => {
    await using plain = await folder.createFile('a')
    await plain.write(Buffer.alloc(blockBytes * 2 + 100, 1), 0)
    await plain.sync()
    await using probe = await openDirect(folder)
    // Some file systems have no O_DIRECT at all; that they say so was asserted.
    if (probe === null) return
    const bytes = pageAligned(blockBytes * 3)
    assert.ok(probe.direct)
    assert.equal(await probe.read(bytes, blockBytes), blockBytes + 100)
    assert.equal(await probe.write(bytes.subarray(0, blockBytes).fill(2), 0), blockBytes)
    await assert.rejects(probe.read(bytes, 100), { code: 'EINVAL' })
    await assert.rejects(probe.write(bytes.subarray(0, 100), 0), { code: 'EINVAL' })
    await assert.rejects(probe.write(bytes.subarray(1, blockBytes + 1), 0), { code: 'EINVAL' })
    await using same = await storage.openFolder(path)
    await using file = await same?.openFile('a', 'read')
    const found = Buffer.alloc(2)
    await file?.read(found, blockBytes - 1)
    assert.deepEqual([...found], [2, 1])
  })

  exercise('what was closed does nothing more, and closes twice', async (folder, { storage, path }) => {
    const file = await folder.createFile('a')
    await file[Symbol.asyncDispose]()
    await file[Symbol.asyncDispose]()
    await assert.rejects(file.read(Buffer.alloc(1), 0), { code: 'EBADF' })
    await assert.rejects(file.write(Buffer.alloc(1), 0), { code: 'EBADF' })
    assert.throws(() => file.readSync(Buffer.alloc(1), 0), { code: 'EBADF' })
    assert.throws(() => file.writeSync(Buffer.alloc(1), 0), { code: 'EBADF' })
    await assert.rejects(file.stat(), { code: 'EBADF' })
    await assert.rejects(file.truncate(0), { code: 'EBADF' })
    await assert.rejects(file.sync(), { code: 'EBADF' })
    await assert.rejects(file.lock(), { code: 'EBADF' })
    await assert.rejects(file.allocate(1), { code: 'EBADF' })
    const closed = await storage.openFolder(path)
    await closed?.[Symbol.asyncDispose]()
    await closed?.[Symbol.asyncDispose]()
    await assert.rejects(async () => closed?.createFile('b'), { code: 'EBADF' })
    await assert.rejects(async () => closed?.names(), { code: 'EBADF' })
    await assert.rejects(async () => closed?.sync(), { code: 'EBADF' })
    assert.deepEqual(await folder.names(), ['a'])
  })
}

/** What every storage must do with a block device. */
export async function exerciseDevice({ storage, path, sizeBytes, filePath }: ExercisedDevice): Promise<void> {
  {
    await using device = await storage.openDevice(path, 'write', { direct: true })
    const { kind, sizeBytes: found } = await device.stat()
    assert.deepEqual([kind, found], ['device', sizeBytes])
    await assert.rejects(storage.openDevice(path, 'write'), { code: 'EBUSY' })
    const bytes = pageAligned(blockBytes).fill(5)
    assert.equal(await device.write(bytes, sizeBytes - blockBytes), blockBytes)
    await assert.rejects(device.write(bytes, sizeBytes), { code: 'ENOSPC' })
    await assert.rejects(device.read(bytes, 100), { code: 'EINVAL' })
    await assert.rejects(device.truncate(1), { code: 'EINVAL' })
    assert.equal(await device.allocate(blockBytes), false)
    await device.sync()
    await using reader = await storage.openDevice(path, 'read', { direct: true })
    assert.equal(await reader.read(bytes.fill(0), sizeBytes - blockBytes), blockBytes)
    assert.equal(bytes[0], 5)
  }
  await using device = await storage.openDevice(path, 'read')
  const bytes = Buffer.alloc(blockBytes * 2)
  assert.equal(await device.read(bytes, sizeBytes - blockBytes), blockBytes)
  assert.deepEqual(bytes.subarray(0, blockBytes), Buffer.alloc(blockBytes, 5))
  assert.equal(await device.read(bytes, sizeBytes), 0)
  await assert.rejects(device.write(bytes, 0), { code: 'EBADF' })
  await assert.rejects(storage.openDevice(filePath, 'read'), { code: 'ENOTBLK' })
  await assert.rejects(storage.openDevice(`${filePath}-missing`, 'read'), { code: 'ENOENT' })
}

async function openDirect(folder: StorageFolder) {
  try {
    return await folder.openFile('a', 'write', { direct: true })
  } catch (error) {
    assert.equal(codeOf(error), 'EINVAL')
    return null
  }
}

/** Memory that begins at a page: WebAssembly's does. */
function pageAligned(sizeBytes: number): Buffer {
  const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / 65_536) })
  return Buffer.from(buffer, 0, sizeBytes)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
