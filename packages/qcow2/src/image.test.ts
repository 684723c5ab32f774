import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import type { Qcow2Disk } from './disk.ts'
import { Qcow2Image } from './image.ts'
import { BufferSource } from './testing/buffer-source.ts'
import { qemu, qemuIo } from './testing/qemu.ts'

const mib = 1_048_576

/** Data here and there: random bytes, text that packs well, a cluster's border crossed, zeros that were written. */
function mixedDisk(sizeBytes: number): Buffer {
  const disk = Buffer.alloc(sizeBytes)
  randomBytes(200_000).copy(disk, 0)
  disk.fill('packs well ', 300_000, 700_000)
  randomBytes(777).copy(disk, 1_000_000)
  randomBytes(mib).copy(disk, 2 * mib + 4096)
  randomBytes(512).copy(disk, sizeBytes - 512)
  return disk
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The whole disk, in reads of a size that fits no cluster. */
function readAll(disk: Qcow2Disk, stepBytes = 1_000_003): Buffer {
  const target = Buffer.alloc(disk.sizeBytes, 0xa5)
  for (let at = 0; at < disk.sizeBytes; at += stepBytes) disk.read(at, target.subarray(at, at + stepBytes))
  return target
}

function openFile(path: string): Qcow2Image {
  return new Qcow2Image(new BufferSource(readFileSync(path)))
}

/** Extents cover the disk in order, each longer than nothing, no two neighbours alike; what is not data reads as zeros. */
function checkExtents(disk: Qcow2Disk, raw: Uint8Array): void {
  let end = 0
  let kind = ''
  for (const extent of disk.extents()) {
    assert.equal(extent.offsetBytes, end)
    assert.ok(extent.sizeBytes > 0)
    assert.notEqual(extent.kind, kind)
    kind = extent.kind
    end += extent.sizeBytes
    if (kind !== 'data') assert.ok(!raw.subarray(extent.offsetBytes, end).some((byte) => byte !== 0))
  }
  assert.equal(end, disk.sizeBytes)
}

function checkAgainstQemu(path: string, name: string): void {
  const back = `${path}.back`
  qemu('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', path, back)
  const expected = readFileSync(back)
  const { disk } = openFile(path)
  const read = readAll(disk)
  assert.equal(read.length, expected.length, name)
  assert.equal(sha256(read), sha256(expected), name)
  checkExtents(disk, expected)
}

const forms: readonly (readonly [string, number, readonly string[]])[] = [
  ['plain', 8 * mib, []],
  ['version 2', 8 * mib, ['-o', 'compat=0.10']],
  ['clusters of 512 bytes', 4 * mib, ['-o', 'cluster_size=512']],
  ['clusters of 4 KiB', 8 * mib, ['-o', 'cluster_size=4k']],
  ['clusters of 2 MiB', 8 * mib, ['-o', 'cluster_size=2M']],
  ['subclusters', 8 * mib, ['-o', 'extended_l2=on,cluster_size=128k']],
  ['small subclusters', 8 * mib, ['-o', 'extended_l2=on,cluster_size=16k']],
  ['subclusters of 64 KiB', 8 * mib, ['-o', 'extended_l2=on,cluster_size=2M']],
  ['zlib', 8 * mib, ['-c']],
  ['zlib, version 2', 8 * mib, ['-c', '-o', 'compat=0.10']],
  ['zlib, clusters of 512 bytes', 4 * mib, ['-c', '-o', 'cluster_size=512']],
  ['zlib, clusters of 2 MiB', 8 * mib, ['-c', '-o', 'cluster_size=2M']],
  ['zlib, subclusters', 8 * mib, ['-c', '-o', 'extended_l2=on']],
  ['zstd', 8 * mib, ['-c', '-o', 'compression_type=zstd']],
  ['zstd, clusters of 4 KiB', 8 * mib, ['-c', '-o', 'compression_type=zstd,cluster_size=4k']],
  ['zstd, clusters of 2 MiB', 8 * mib, ['-c', '-o', 'compression_type=zstd,cluster_size=2M']],
  ['metadata preallocated', 8 * mib, ['-S', '0', '-o', 'preallocation=metadata']],
  ['falloc', 8 * mib, ['-o', 'preallocation=falloc']],
  ['full', 8 * mib, ['-o', 'preallocation=full']],
  ['refcounts of one bit', 8 * mib, ['-o', 'refcount_bits=1']],
  ['refcounts of 64 bits', 8 * mib, ['-o', 'refcount_bits=64']],
  ['lazy refcounts', 8 * mib, ['-o', 'lazy_refcounts=on']],
  ['no whole cluster at the end', 8 * mib - 512, []],
  ['no whole cluster at the end, zlib', 5 * mib + 3 * 512, ['-c']],
  ['no whole cluster at the end, zstd', 5 * mib + 3 * 512, ['-c', '-o', 'compression_type=zstd']],
  ['no whole subcluster at the end', 5 * mib + 3 * 512, ['-o', 'extended_l2=on']],
]

for (const [name, sizeBytes, options] of forms) {
  test(`a disk that qemu-img converts is read as it reads it: ${name}`, (context) => {
    const folder = temporaryFolder(context)
    const raw = mixedDisk(sizeBytes)
    writeFileSync(join(folder, 'disk.raw'), raw)
    const path = join(folder, 'disk.qcow2')
    qemu('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, join(folder, 'disk.raw'), path)
    assert.equal(sha256(readAll(openFile(path).disk)), sha256(raw))
    checkAgainstQemu(path, name)
  })
}

test('what a VM did to its disk is read as qemu-img reads it', (context) => {
  const folder = temporaryFolder(context)
  for (const [name, options] of [
    ['plain', 'cluster_size=64k'],
    ['small', 'cluster_size=512'],
    ['subclusters', 'extended_l2=on'],
    ['prealloc', 'preallocation=metadata'],
    ['prealloc-subclusters', 'preallocation=metadata,extended_l2=on'],
    ['falloc', 'preallocation=falloc'],
    ['v2', 'compat=0.10'],
  ] as const) {
    const path = join(folder, `${name}.qcow2`)
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '6M')
    checkAgainstQemu(path, `${name}, untouched`)
    qemuIo(
      path,
      ...['write -P 17 0 64k', 'write -P 18 200k 3k', 'write -P 19 1M 1M', 'write -z 1100k 300k'],
      ...['discard 1M 64k', 'write -P 20 100k 512', 'write -P 22 5M 1536'],
    )
    checkAgainstQemu(path, name)
  }
})

test('snapshots are listed, and each is read as it was', (context) => {
  const folder = temporaryFolder(context)
  for (const [name, options] of [
    ['v3', 'compat=1.1'],
    ['v2', 'compat=0.10'],
    ['subclusters', 'extended_l2=on'],
  ] as const) {
    const path = join(folder, `${name}.qcow2`)
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '4M')
    qemuIo(path, 'write -P 1 0 1M')
    qemu('qemu-img', 'snapshot', '-c', 'first', path)
    qemuIo(path, 'write -P 2 512k 1M')
    qemu('qemu-img', 'snapshot', '-c', 'über', path)
    qemuIo(path, 'write -P 3 0 200k', 'write -z 3M 64k')
    const image = openFile(path)
    const snapshots = image.snapshots()
    assert.deepEqual(
      snapshots.map((snapshot) => [snapshot.id, snapshot.name, snapshot.diskSizeBytes, snapshot.vmStateSizeBytes]),
      [
        ['1', 'first', 4 * mib, 0],
        ['2', 'über', 4 * mib, 0],
      ],
    )
    assert.ok(snapshots.every(({ takenAtSeconds }) => takenAtSeconds > 1_600_000_000))
    checkAgainstQemu(path, name)
    for (const snapshot of snapshots) {
      const back = join(folder, 'back.raw')
      const source = ['-f', 'qcow2', '-l', `snapshot.id=${snapshot.id}`, path]
      qemu('qemu-img', 'convert', '-O', 'raw', ...source, back)
      const disk = image.diskAt(snapshot)
      assert.equal(sha256(readAll(disk)), sha256(readFileSync(back)), `${name}, ${snapshot.name}`)
      checkExtents(disk, readFileSync(back))
    }
  }
})

test('a snapshot from before the disk grew has its old size', (context) => {
  const path = join(temporaryFolder(context), 'disk.qcow2')
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', path, '2M')
  qemuIo(path, 'write -P 1 1M 1M')
  qemu('qemu-img', 'snapshot', '-c', 'small', path)
  qemu('qemu-img', 'resize', '-q', '-f', 'qcow2', path, '3M')
  const image = openFile(path)
  assert.equal(image.disk.sizeBytes, 3 * mib)
  const [snapshot] = image.snapshots()
  assert.ok(snapshot !== undefined)
  const disk = image.diskAt(snapshot)
  assert.equal(disk.sizeBytes, 2 * mib)
  assert.equal(sha256(readAll(disk)), sha256(Buffer.concat([Buffer.alloc(mib), Buffer.alloc(mib, 1)])))
})

test('what the tables have behind the end of the disk, as a VM saves its memory there, is not the disk', (context) => {
  const path = join(temporaryFolder(context), 'disk.qcow2')
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', path, '512M')
  qemuIo(path, 'write -P 4 511M 1M')
  const image = readFileSync(path)
  const longer = Buffer.concat([image, Buffer.alloc(2 * 65_536, 7)])
  longer.writeUInt32BE(2, 36)
  longer.writeBigUInt64BE(BigInt(image.length), Number(image.readBigUInt64BE(40)) + 8)
  longer.fill(0, image.length, image.length + 65_536)
  longer.writeBigUInt64BE(BigInt(image.length + 65_536), image.length)
  const { disk } = new Qcow2Image(new BufferSource(longer))
  assert.deepEqual(
    [...disk.extents()],
    [
      { kind: 'unallocated', offsetBytes: 0, sizeBytes: 511 * mib },
      { kind: 'data', offsetBytes: 511 * mib, sizeBytes: mib },
    ],
  )
  assert.throws(() => disk.read(512 * mib - 1, Buffer.alloc(2)), { name: 'Qcow2Error', code: 'out-of-range' })
})

test('a huge sparse disk costs no more than what is in it', (context) => {
  const path = join(temporaryFolder(context), 'disk.qcow2')
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', path, '64T')
  const offsetBytes = 60 * 2 ** 40 + 12_345 * 512
  qemuIo(path, `write -P 7 ${offsetBytes} 64k`)
  assert.ok(statSync(path).size < 16 * mib)
  const { disk } = openFile(path)
  const clusterStart = offsetBytes - (offsetBytes % 65_536)
  assert.deepEqual(
    [...disk.extents()],
    [
      { kind: 'unallocated', offsetBytes: 0, sizeBytes: clusterStart },
      { kind: 'data', offsetBytes: clusterStart, sizeBytes: 131_072 },
      {
        kind: 'unallocated',
        offsetBytes: clusterStart + 131_072,
        sizeBytes: 64 * 2 ** 40 - clusterStart - 131_072,
      },
    ],
  )
  const target = Buffer.alloc(65_536)
  disk.read(offsetBytes, target)
  assert.ok(target.equals(Buffer.alloc(65_536, 7)))
})

test('an image whose last cluster was cut short reads as QEMU reads it', (context) => {
  const path = join(temporaryFolder(context), 'disk.qcow2')
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', path, '1M')
  qemuIo(path, 'write -P 9 0 128k')
  truncateSync(path, statSync(path).size - 60_000)
  checkAgainstQemu(path, 'cut')
})

test('clusters that lie behind one another are one read', (context) => {
  const folder = temporaryFolder(context)
  writeFileSync(join(folder, 'disk.raw'), randomBytes(8 * mib))
  const path = join(folder, 'disk.qcow2')
  qemu('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'disk.raw'), path)
  const source = new BufferSource(readFileSync(path))
  const { disk } = new Qcow2Image(source)
  const target = Buffer.alloc(4 * mib)
  disk.read(mib + 512, target)
  const large = source.reads.filter((read) => read.sizeBytes > 65_536)
  assert.deepEqual(
    large.map((read) => read.sizeBytes),
    [4 * mib],
  )
})
