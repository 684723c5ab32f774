import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { Qcow2Image } from './image.ts'
import { Qcow2Error, type Qcow2ErrorCode } from './qcow2-error.ts'
import { BufferSource } from './testing/buffer-source.ts'
import { qemu } from './testing/qemu.ts'

const diskSizeBytes = 524_288

/** An image of random data with a few areas that pack well, made by qemu-img with these options, and two snapshots. */
function makeImage(folder: string, name: string, options: readonly string[]): Buffer {
  const raw = Buffer.alloc(diskSizeBytes)
  randomBytes(50_000).copy(raw, 20_000)
  raw.fill('packs well ', 200_000, 300_000)
  randomBytes(70_000).copy(raw, 400_000)
  writeFileSync(join(folder, 'disk.raw'), raw)
  const path = join(folder, `${name}.qcow2`)
  qemu('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, join(folder, 'disk.raw'), path)
  qemu('qemu-img', 'snapshot', '-c', 'first', path)
  qemu('qemu-img', 'snapshot', '-c', 'second', path)
  return readFileSync(path)
}

/** Everything that a reader does with an image; whatever is huge in it is read in part only. */
function readEverything(bytes: Uint8Array): void {
  const image = new Qcow2Image(new BufferSource(bytes))
  for (const disk of [image.disk, ...image.snapshots().map((snapshot) => image.diskAt(snapshot))]) {
    disk.read(0, new Uint8Array(Math.min(disk.sizeBytes, 2 * diskSizeBytes)))
    for (const extent of disk.extents()) {
      assert.ok(extent.sizeBytes > 0)
      if (extent.kind === 'data') disk.read(extent.offsetBytes, new Uint8Array(Math.min(extent.sizeBytes, 4096)))
    }
  }
}

const l1TableOffset = (image: Buffer) => Number(image.readBigUInt64BE(40))
const l2TableOffset = (image: Buffer) => Number(image.readBigUInt64BE(l1TableOffset(image)) & 0xff_ffff_ffff_fe00n)
const snapshotsOffset = (image: Buffer) => Number(image.readBigUInt64BE(64))

/** Sets some bits of the 64 at `at`. */
function setBits(image: Buffer, at: number, bits: bigint): void {
  image.writeBigUInt64BE(image.readBigUInt64BE(at) | bits, at)
}

/** The first L2 entry of a kind. */
function l2Entry(image: Buffer, wanted: (entry: bigint) => boolean, sizeBytes = 8): number {
  let at = l2TableOffset(image)
  while (!wanted(image.readBigUInt64BE(at))) at += sizeBytes
  return at
}

const isStandard = (entry: bigint) => (entry & (1n << 62n)) === 0n && entry !== 0n
const isCompressed = (entry: bigint) => (entry & (1n << 62n)) !== 0n

type Damage = readonly [string, Qcow2ErrorCode, (image: Buffer) => unknown]

/** Each damages exactly one thing behind the header of a valid image. */
const standardDamages: readonly Damage[] = [
  ['an L1 entry with a reserved bit', 'bad-table-entry', (image) => setBits(image, l1TableOffset(image), 1n << 56n)],
  ['an L1 entry with a low bit', 'bad-table-entry', (image) => setBits(image, l1TableOffset(image), 1n)],
  ['an L2 table off its cluster', 'bad-table-entry', (image) => setBits(image, l1TableOffset(image), 512n)],
  ['an L2 table behind the end', 'truncated', (image) => setBits(image, l1TableOffset(image), 1n << 40n)],
  ['an L2 table at the farthest offset', 'truncated', (image) => setBits(image, l1TableOffset(image), 1n << 55n)],
  [
    'an L2 entry with a reserved bit',
    'bad-table-entry',
    (image) => setBits(image, l2Entry(image, isStandard), 1n << 61n),
  ],
  ['an L2 entry with a low bit', 'bad-table-entry', (image) => setBits(image, l2Entry(image, isStandard), 2n)],
  ['a cluster off its place', 'bad-table-entry', (image) => setBits(image, l2Entry(image, isStandard), 512n)],
  ['a cluster behind the end', 'truncated', (image) => setBits(image, l2Entry(image, isStandard), 1n << 40n)],
  ['an L1 table that is too short', 'bad-header', (image) => image.writeUInt32BE(0, 36)],
  ['an L1 table that is not all there', 'truncated', (image) => image.writeUInt32BE(4_194_304, 36)],
  ['an L1 table behind the end', 'truncated', (image) => image.writeBigUInt64BE(1n << 40n, 40)],
  ['a disk larger than its L1 table', 'bad-header', (image) => image.writeBigUInt64BE(1n << 40n, 24)],
  ['an image cut in its L2 table', 'truncated', (image) => image.subarray(0, l2TableOffset(image) + 100)],
  ['an image cut in its L1 table', 'truncated', (image) => image.subarray(0, l1TableOffset(image) + 4)],
  ['a snapshot table behind the end', 'truncated', (image) => image.writeBigUInt64BE(1n << 40n, 64)],
  ['more snapshots than there are', 'truncated', (image) => image.subarray(0, snapshotsOffset(image) + 60)],
  [
    'an L1 table of a snapshot off its cluster',
    'bad-snapshot-table',
    (image) => setBits(image, snapshotsOffset(image), 1n),
  ],
  [
    'an L1 table of a snapshot behind the end',
    'truncated',
    (image) => setBits(image, snapshotsOffset(image), 1n << 40n),
  ],
  [
    'an L1 table of a snapshot longer than QEMU opens',
    'bad-snapshot-table',
    (image) => image.writeUInt32BE(4_194_305, snapshotsOffset(image) + 8),
  ],
  ['a snapshot without an L1 table', 'bad-header', (image) => image.writeUInt32BE(0, snapshotsOffset(image) + 8)],
  [
    'a snapshot with too much extra data',
    'bad-snapshot-table',
    (image) => image.writeUInt32BE(1025, snapshotsOffset(image) + 36),
  ],
  [
    'a snapshot of a disk that no VM may have',
    'bad-snapshot-table',
    (image) => image.writeBigUInt64BE(2n ** 50n + 512n, snapshotsOffset(image) + 48),
  ],
]

const otherDamages: readonly (readonly [readonly string[], Damage])[] = [
  [
    ['-o', 'compat=0.10'],
    ['a zero cluster in version 2', 'bad-table-entry', (image) => setBits(image, l2Entry(image, isStandard), 1n)],
  ],
  [
    ['-o', 'extended_l2=on'],
    [
      'a zero bit in an extended entry',
      'bad-table-entry',
      (image) => setBits(image, l2Entry(image, isStandard, 16), 1n),
    ],
  ],
  [
    ['-o', 'extended_l2=on'],
    [
      'a subcluster both zero and allocated',
      'bad-table-entry',
      (image) => image.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, l2Entry(image, isStandard, 16) + 8),
    ],
  ],
  [
    ['-o', 'extended_l2=on'],
    [
      'an allocated subcluster of no cluster',
      'bad-table-entry',
      (image) => image.writeBigUInt64BE(1n << 63n, l2Entry(image, isStandard, 16)),
    ],
  ],
  ...(['zlib', 'zstd'] as const).flatMap((method) =>
    (
      [
        ['compressed data that is something else', 'bad-compressed-cluster', (image) => overwritePacked(image, 0xff)],
        ['compressed data of zeros', 'bad-compressed-cluster', (image) => overwritePacked(image, 0)],
        ['a compressed cluster behind the end', 'truncated', (image) => setBits(image, packedEntry(image), 1n << 40n)],
        ['an image cut in a compressed cluster', 'bad-compressed-cluster', cutPacked],
      ] satisfies readonly Damage[]
    ).map((damage): readonly [readonly string[], Damage] => [['-c', '-o', `compression_type=${method}`], damage]),
  ),
]

const packedEntry = (image: Buffer) => l2Entry(image, isCompressed)

/** Clusters of 64 KiB leave 54 bits for the offset. */
const packedOffset = (image: Buffer) => Number(image.readBigUInt64BE(packedEntry(image)) & ((1n << 54n) - 1n))

function overwritePacked(image: Buffer, value: number): void {
  image.fill(value, packedOffset(image), packedOffset(image) + 40)
}

/** The end of the data that begins last. The tables of an image lie before. */
function cutPacked(image: Buffer): Buffer {
  // The snapshots lie behind the data: without them it is the last thing.
  image.writeUInt32BE(0, 60)
  let last = 0
  for (let at = l2TableOffset(image); at < l2TableOffset(image) + 64; at += 8) {
    const entry = image.readBigUInt64BE(at)
    if (isCompressed(entry)) last = Math.max(last, Number(entry & ((1n << 54n) - 1n)))
  }
  return image.subarray(0, last + 20)
}

function checkDamage(valid: Buffer, [name, code, damage]: Damage): void {
  const image = Buffer.from(valid)
  const damaged = damage(image)
  assert.throws(() => readEverything(Buffer.isBuffer(damaged) ? damaged : image), { name: 'Qcow2Error', code }, name)
}

test('each damage behind the header is refused by its name', (context) => {
  const folder = temporaryFolder(context)
  const valid = makeImage(folder, 'standard', [])
  readEverything(valid)
  for (const damage of standardDamages) checkDamage(valid, damage)
  for (const [index, [options, damage]] of otherDamages.entries()) {
    const image = makeImage(folder, `${index}`, options)
    readEverything(image)
    checkDamage(image, damage)
  }
})

test('a small image cannot claim endless tables or data', (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'disk.qcow2')
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, '1T')
  const image = readFileSync(path)
  const l2Offset = image.length
  const table = Buffer.alloc(4096)
  const tables = Buffer.concat([image, table, Buffer.alloc(4096, 7)])
  const l1 = l1TableOffset(image)
  for (let at = l1; at < l1 + 8 * image.readUInt32BE(36); at += 8) tables.writeBigUInt64BE(BigInt(l2Offset), at)
  assert.throws(() => readEverything(tables), { code: 'bad-table-entry', message: /more L2 tables than the image/ })

  const data = Buffer.concat([image, table, Buffer.alloc(4096, 7)])
  for (let entry = 0; entry < 1024; entry++) data.writeBigUInt64BE(BigInt(l2Offset), l1 + 8 * entry)
  for (let at = l2Offset; at < l2Offset + 4096; at += 8) data.writeBigUInt64BE(BigInt(l2Offset + 4096), at)
  assert.throws(() => readEverything(data), { code: 'bad-table-entry', message: /more data than the image/ })
})

const fuzzed: readonly (readonly [string, readonly string[]])[] = [
  ['clusters of 512 bytes', ['-o', 'cluster_size=512']],
  ['clusters of 4 KiB', ['-o', 'cluster_size=4k']],
  ['version 2', ['-o', 'cluster_size=4k,compat=0.10']],
  ['subclusters', ['-o', 'cluster_size=16k,extended_l2=on']],
  ['zlib', ['-c', '-o', 'cluster_size=4k']],
  ['zstd', ['-c', '-o', 'cluster_size=16k,compression_type=zstd,extended_l2=on']],
]

for (const [name, options] of fuzzed) {
  test(`no change of an image does anything but be read or refused: ${name}`, (context) => {
    const valid = makeImage(temporaryFolder(context), 'disk', options)
    const areas = [0, 100, l1TableOffset(valid), l2TableOffset(valid), snapshotsOffset(valid), valid.length / 2]
    const change = fc.record({
      area: fc.constantFrom(...areas),
      at: fc.nat({ max: 150 }),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.constantFrom(Uint8Array.of(0xff, 0xff, 0xff, 0xff), new Uint8Array(8)),
      ),
    })
    let refused = 0
    let read = 0
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 2 }),
        fc.option(fc.nat({ max: valid.length }), { freq: 1 }),
        (changes, cut) => {
          const image = Buffer.from(valid.subarray(0, cut ?? valid.length))
          for (const { area, at, bytes } of changes) {
            const start = Math.floor(area) + at
            if (start + bytes.length <= image.length) image.set(bytes, start)
          }
          try {
            readEverything(image)
            read++
          } catch (error) {
            assert.ok(error instanceof Qcow2Error, `${error}`)
            refused++
          }
        },
      ),
      { numRuns: 300 },
    )
    // The changes are of both kinds: such that damage, and such that do not.
    assert.ok(refused > 20 && read > 5, `${refused} refused, ${read} read`)
  })
}
