import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { temporaryFolder } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { DataClusters, thinDiskSizeMaxBytes } from './data-clusters.ts'
import { Qcow2Image } from './image.ts'
import { Qcow2Error } from './qcow2-error.ts'
import { BufferSource } from './testing/buffer-source.ts'
import { qemu, qemuIo } from './testing/qemu.ts'
import { ThinImage } from './thin-image.ts'

const mib = 1_048_576
const clusterSizeBytes = 65_536

/** Marks the clusters that are not all zeros, as a scan of a disk does. */
function scan(raw: Uint8Array): DataClusters {
  const data = DataClusters.none(raw.length)
  for (let at = 0; at < raw.length; at += clusterSizeBytes) {
    const cluster = raw.subarray(at, at + clusterSizeBytes)
    if (cluster.some((byte) => byte !== 0)) data.mark(at, cluster.length)
  }
  return data
}

/** The image in one go from front to back. */
function build(raw: Uint8Array): Buffer {
  const image = ThinImage.with(scan(raw))
  const target = Buffer.alloc(image.sizeBytes, 0xa5)
  image.read(0, target, readerOf(raw))
  return target
}

function readerOf(raw: Uint8Array) {
  return (offsetBytes: number, target: Uint8Array) => {
    assert.ok(target.length > 0 && offsetBytes + target.length <= raw.length, 'a read beyond the disk')
    target.set(raw.subarray(offsetBytes, offsetBytes + target.length))
  }
}

/** `qemu-img check` with no errors and no leaks, and nothing that it would repair. */
function check(path: string): void {
  const found: unknown = JSON.parse(qemu('qemu-img', 'check', '--output=json', '-f', 'qcow2', path))
  assert.partialDeepStrictEqual(found, { 'check-errors': 0 })
  for (const damage of ['corruptions', 'leaks']) assert.ok(!Object.hasOwn(Object(found), damage), damage)
}

function sparseDisk(sizeBytes: number): Buffer {
  const raw = Buffer.alloc(sizeBytes)
  for (const at of [0, 70_000, 5 * clusterSizeBytes, 6 * clusterSizeBytes + 17, sizeBytes - 100]) {
    randomBytes(100).copy(raw, at)
  }
  randomBytes(mib).copy(raw, 3 * mib)
  return raw
}

const disks: readonly (readonly [string, Buffer])[] = [
  ['sparse', sparseDisk(64 * mib)],
  ['full', randomBytes(8 * mib)],
  ['all zeros', Buffer.alloc(8 * mib)],
  ['no whole cluster at the end', sparseDisk(9 * mib - 512)],
  ['one sector', randomBytes(512)],
  ['one cluster and a sector', randomBytes(clusterSizeBytes + 512)],
]

for (const [name, raw] of disks) {
  test(`QEMU finds nothing wrong with what we write, and goes on writing to it: ${name}`, (context) => {
    const folder = temporaryFolder(context)
    const path = join(folder, 'disk.qcow2')
    const rawPath = join(folder, 'disk.raw')
    writeFileSync(rawPath, raw)
    writeFileSync(path, build(raw))
    check(path)
    qemu('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', rawPath, path)
    const info: unknown = JSON.parse(qemu('qemu-img', 'info', '--output=json', path))
    assert.partialDeepStrictEqual(info, {
      format: 'qcow2',
      'virtual-size': raw.length,
      'cluster-size': clusterSizeBytes,
      'dirty-flag': false,
      'format-specific': {
        data: { compat: '1.1', 'compression-type': 'zlib', 'refcount-bits': 16, corrupt: false, 'extended-l2': false },
      },
    })
    assert.ok(!Object.hasOwn(Object(info), 'backing-filename'))
    const end = raw.length - 512
    qemuIo(path, 'write -P 5 0 512', `write -P 6 ${end} 512`, `read -P 6 ${end} 512`)
    qemu('qemu-img', 'snapshot', '-c', 'one', path)
    qemuIo(path, `write -P 7 ${end} 512`, `read -P 7 ${end} 512`)
    check(path)
  })
}

test('clusters without data take no room, and the size is known before', () => {
  const raw = sparseDisk(64 * mib)
  const data = scan(raw)
  const image = ThinImage.with(data)
  // Header, refcount table, refcount block, L1 table, one L2 table.
  assert.equal(image.dataOffsetBytes, 5 * clusterSizeBytes)
  assert.equal(image.sizeBytes, image.dataOffsetBytes + (5 + 16) * clusterSizeBytes)
  assert.equal(build(raw).length, image.sizeBytes)
  const { disk } = new Qcow2Image(new BufferSource(build(raw)))
  assert.deepEqual(
    [...disk.extents()].filter((extent) => extent.kind === 'data').map(({ offsetBytes }) => offsetBytes),
    [0, 5 * clusterSizeBytes, 3 * mib, 64 * mib - clusterSizeBytes],
  )
})

test('any part of the image can be made alone, and is the same', () => {
  const raw = sparseDisk(9 * mib - 512)
  const image = ThinImage.with(scan(raw))
  const whole = build(raw)
  fc.assert(
    fc.property(fc.nat({ max: whole.length }), fc.nat({ max: 300_000 }), (start, sizeBytes) => {
      const target = Buffer.alloc(Math.min(sizeBytes, whole.length - start), 0xa5)
      image.read(start, target, readerOf(raw))
      assert.ok(target.equals(whole.subarray(start, start + target.length)))
    }),
    { numRuns: 50 },
  )
})

test('metadata and each cluster of data can be put where they belong', (context) => {
  const raw = sparseDisk(9 * mib - 512)
  const image = ThinImage.with(scan(raw))
  const path = join(temporaryFolder(context), 'disk.qcow2')
  const file = openSync(path, 'wx')
  ftruncateSync(file, image.sizeBytes)
  for (let cluster = Math.ceil(raw.length / clusterSizeBytes) - 1; cluster >= 0; cluster--) {
    const offsetBytes = image.dataOffsetOf(cluster)
    const bytes = raw.subarray(cluster * clusterSizeBytes, (cluster + 1) * clusterSizeBytes)
    if (offsetBytes !== null) writeSync(file, bytes, 0, bytes.length, offsetBytes)
  }
  for (const piece of image.pieces(0, image.dataOffsetBytes)) {
    assert.equal(piece.kind, 'metadata')
    if (piece.kind === 'metadata') writeSync(file, piece.bytes, 0, piece.bytes.length, piece.offsetBytes)
  }
  closeSync(file)
  assert.ok(readFileSync(path).equals(build(raw)))
})

test('marks and places agree with a plain list of clusters', () => {
  const clusterCount = 3 * 8192 + 5
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat({ max: clusterCount - 1 }), { maxLength: 60 }),
      fc.nat({ max: clusterCount - 1 }),
      fc.nat({ max: 9000 }),
      (single, start, length) => {
        const data = DataClusters.none(clusterCount * clusterSizeBytes)
        const expected = new Set(single)
        for (const cluster of single) data.mark(cluster * clusterSizeBytes + 7, 1)
        const end = Math.min(start + length, clusterCount)
        data.mark(start * clusterSizeBytes, (end - start) * clusterSizeBytes)
        for (let cluster = start; cluster < end; cluster++) expected.add(cluster)
        const image = ThinImage.with(data)
        const sorted = [...expected].toSorted((a, b) => a - b)
        sorted.forEach((cluster, rank) => {
          assert.equal(image.dataOffsetOf(cluster), image.dataOffsetBytes + rank * clusterSizeBytes)
        })
        assert.equal(image.sizeBytes, image.dataOffsetBytes + sorted.length * clusterSizeBytes)
        const marked: number[] = []
        for (const piece of image.pieces(image.dataOffsetBytes)) {
          assert.ok(piece.kind === 'data')
          for (let at = 0; at < piece.sizeBytes; at += clusterSizeBytes) {
            marked.push((piece.guestOffsetBytes + at) / clusterSizeBytes)
          }
        }
        assert.deepEqual(marked, sorted)
        assert.equal(image.dataOffsetOf(clusterCount), null)
      },
    ),
    { numRuns: 30 },
  )
})

test('threads mark one disk together', async () => {
  const data = DataClusters.none(8192 * clusterSizeBytes)
  const source = `
    const { workerData } = require('node:worker_threads')
    import(workerData.module).then(({ DataClusters }) => {
      const data = DataClusters.of(workerData.shared)
      for (let cluster = workerData.first; cluster < 8192; cluster += 2) data.mark(cluster * 65536, 65536)
      for (let cluster = 0; cluster < 8192; cluster += 4) data.mark(cluster * 65536, 65536)
    })`
  const module = new URL('./data-clusters.ts', import.meta.url).href
  const ends = [0, 1].map((first) => {
    const worker = new Worker(source, { eval: true, workerData: { module, shared: data.shared, first } })
    return new Promise<number>((resolve, reject) => worker.once('error', reject).once('exit', resolve))
  })
  assert.deepEqual(await Promise.all(ends), [0, 0])
  assert.equal(data.countIn(0), 8192)
})

test('an empty disk of any size is a small image that QEMU can use', (context) => {
  const path = join(temporaryFolder(context), 'disk.qcow2')
  for (const sizeBytes of [512, 10 * mib + 512, 2 ** 40, 2 ** 46, 2 ** 50]) {
    const image = ThinImage.empty(sizeBytes)
    const bytes = Buffer.alloc(image.sizeBytes)
    image.read(0, bytes, () => assert.fail('there is no data'))
    writeFileSync(path, bytes)
    check(path)
    const info: unknown = JSON.parse(qemu('qemu-img', 'info', '--output=json', path))
    assert.partialDeepStrictEqual(info, { 'virtual-size': sizeBytes })
    assert.deepEqual(
      [...new Qcow2Image(new BufferSource(bytes)).disk.extents()],
      [{ kind: 'unallocated', offsetBytes: 0, sizeBytes }],
    )
    qemuIo(path, `write -P 5 ${sizeBytes - 512} 512`)
    check(path)
  }
})

test('images of 64 TiB hold what little is in them', (context) => {
  const data = DataClusters.none(thinDiskSizeMaxBytes)
  for (const at of [0, 2 ** 40 + 12_345, 2 ** 46 - 1]) data.mark(at, 1)
  const image = ThinImage.with(data)
  const path = join(temporaryFolder(context), 'disk.qcow2')
  const bytes = Buffer.alloc(image.sizeBytes)
  image.read(0, bytes, (_offsetBytes, target) => target.fill(8))
  writeFileSync(path, bytes)
  check(path)
  qemuIo(path, `read -P 8 ${2 ** 46 - 65_536} 64k`, 'read -P 8 0 64k', `read -P 0 64k 64k`)
  assert.ok(statSync(path).size < 4 * mib)
})

test('the last places of a full disk of 64 TiB are right, and come at once', () => {
  const data = DataClusters.none(thinDiskSizeMaxBytes)
  data.mark(0, thinDiskSizeMaxBytes)
  const image = ThinImage.with(data)
  const clusterCount = thinDiskSizeMaxBytes / clusterSizeBytes
  assert.equal(image.sizeBytes, image.dataOffsetBytes + thinDiskSizeMaxBytes)
  assert.equal(image.dataOffsetOf(clusterCount - 1), image.sizeBytes - clusterSizeBytes)
  const start = image.sizeBytes - clusterSizeBytes - 512
  assert.deepEqual(
    [...image.pieces(start)],
    [
      {
        kind: 'data',
        offsetBytes: start,
        sizeBytes: clusterSizeBytes + 512,
        guestOffsetBytes: thinDiskSizeMaxBytes - clusterSizeBytes - 512,
      },
    ],
  )
})

test('refcounts of more than one block add up', (context) => {
  const sizeBytes = 5 * 2 ** 30
  const data = DataClusters.none(sizeBytes)
  data.mark(0, sizeBytes)
  const image = ThinImage.with(data)
  const path = join(temporaryFolder(context), 'disk.qcow2')
  const file = openSync(path, 'wx')
  ftruncateSync(file, image.sizeBytes)
  for (const piece of image.pieces(0, image.dataOffsetBytes)) {
    assert.ok(piece.kind === 'metadata')
    writeSync(file, piece.bytes, 0, piece.bytes.length, piece.offsetBytes)
  }
  closeSync(file)
  check(path)
})

test('a refcount table of more than one cluster names each block', () => {
  const sizeBytes = 17 * 2 ** 40
  const data = DataClusters.none(sizeBytes)
  data.mark(0, sizeBytes)
  const image = ThinImage.with(data)
  const at = (offsetBytes: number, wanted: number) => {
    const bytes = Buffer.alloc(wanted)
    image.read(offsetBytes, bytes, () => assert.fail('this is metadata'))
    return bytes
  }
  const header = at(0, 112)
  const tableOffset = Number(header.readBigUInt64BE(48))
  const tableSizeBytes = header.readUInt32BE(56) * clusterSizeBytes
  assert.equal(tableSizeBytes, 2 * clusterSizeBytes)
  const table = at(tableOffset, tableSizeBytes)
  const blockCount = Math.ceil(image.sizeBytes / clusterSizeBytes / 32_768)
  for (let index = 0; index < tableSizeBytes / 8; index++) {
    const expected = index < blockCount ? tableOffset + tableSizeBytes + index * clusterSizeBytes : 0
    assert.equal(Number(table.readBigUInt64BE(index * 8)), expected)
  }
  const lastBlock = at(tableOffset + tableSizeBytes + (blockCount - 1) * clusterSizeBytes, clusterSizeBytes)
  const counted = image.sizeBytes / clusterSizeBytes - (blockCount - 1) * 32_768
  for (let index = 0; index < 32_768; index++) {
    assert.equal(lastBlock.readUInt16BE(index * 2), index < counted ? 1 : 0)
  }
})

test('an image of another shape becomes a thin one', (context) => {
  const folder = temporaryFolder(context)
  const raw = sparseDisk(9 * mib - 512)
  writeFileSync(join(folder, 'disk.raw'), raw)
  const packed = join(folder, 'packed.qcow2')
  const shape = 'compression_type=zstd,cluster_size=16k,extended_l2=on'
  qemu('qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', shape, join(folder, 'disk.raw'), packed)
  const { disk } = new Qcow2Image(new BufferSource(readFileSync(packed)))
  const data = DataClusters.none(disk.sizeBytes)
  for (const extent of disk.extents()) if (extent.kind === 'data') data.mark(extent.offsetBytes, extent.sizeBytes)
  const image = ThinImage.with(data)
  const bytes = Buffer.alloc(image.sizeBytes)
  image.read(0, bytes, (offsetBytes, target) => disk.read(offsetBytes, target))
  assert.ok(bytes.equals(build(raw)))
})

test('sizes and stretches that make no image are refused', () => {
  for (const sizeBytes of [0, -512, 511, 513, 0.5, Number.NaN, thinDiskSizeMaxBytes + 512]) {
    assert.throws(() => DataClusters.none(sizeBytes), { name: 'Qcow2Error', code: 'bad-size' }, `${sizeBytes}`)
  }
  for (const sizeBytes of [0, 1000, 2 ** 50 + 512]) {
    assert.throws(() => ThinImage.empty(sizeBytes), { code: 'bad-size' }, `${sizeBytes}`)
  }
  const data = DataClusters.none(mib)
  for (const [offsetBytes, sizeBytes] of [
    [-1, 1],
    [0, -1],
    [mib, 1],
    [0, mib + 1],
    [0.5, 1],
  ] as const) {
    assert.throws(() => data.mark(offsetBytes, sizeBytes), { code: 'out-of-range' })
  }
  const image = ThinImage.with(data)
  for (const [start, end] of [
    [-1, 0],
    [1, 0],
    [0, image.sizeBytes + 1],
  ] as const) {
    assert.throws(() => [...image.pieces(start, end)], Qcow2Error)
  }
})
