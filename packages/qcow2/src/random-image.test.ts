import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { DataClusters } from './data-clusters.ts'
import type { Qcow2Disk } from './disk.ts'
import { Qcow2Image } from './image.ts'
import { BufferSource } from './testing/buffer-source.ts'
import { qemu, tryQemu } from './testing/qemu.ts'
import { ThinImage } from './thin-image.ts'

const long = process.env['CRYPTVISOR_TEST_LONG'] === '1'
const sectorSizeBytes = 512
const diskSectorsMax = 16_384

const preallocation = fc.constantFrom('off', 'metadata', 'falloc', 'full')
const compression = fc.constantFrom('zlib', 'zstd')

const shape = fc.oneof(
  fc.record({
    cluster_size: fc.constantFrom('512', '1k', '4k', '64k', '256k', '2M'),
    compression_type: compression,
    refcount_bits: fc.constantFrom('16', '32', '64'),
    preallocation,
  }),
  fc.record({
    cluster_size: fc.constantFrom('16k', '64k', '256k', '2M'),
    extended_l2: fc.constant('on'),
    compression_type: compression,
    preallocation,
  }),
  fc.record({ compat: fc.constant('0.10'), cluster_size: fc.constantFrom('512', '64k', '2M'), preallocation }),
)

const command = fc.record({
  verb: fc.oneof(
    fc.integer({ min: 1, max: 254 }).map((pattern) => `write -P ${pattern}`),
    // Compressed clusters must be whole ones; where they are not, qemu-io refuses, and the others still count.
    fc.integer({ min: 1, max: 254 }).map((pattern) => `write -c -P ${pattern}`),
    fc.constantFrom('write -z', 'write -z -u', 'discard'),
  ),
  place: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  sectors: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 4000 }), fc.constant(128)),
  aligned: fc.boolean(),
})

const life = fc.record({
  shape,
  sectors: fc.integer({ min: 1, max: diskSectorsMax }),
  /** A snapshot is taken after each. */
  works: fc.array(fc.array(command, { minLength: 1, maxLength: 10 }), { minLength: 1, maxLength: 3 }),
  bitmap: fc.boolean(),
  stepBytes: fc.integer({ min: 100_000, max: 3_000_000 }),
})

type Life = typeof life extends fc.Arbitrary<infer Value> ? Value : never

/** Makes the image. Null when QEMU damaged it and says so: 7.2 does, with small compressed clusters over zero clusters. */
function live(path: string, { shape, sectors, works, bitmap }: Life): Buffer | null {
  const options = Object.entries(shape).map(([name, value]) => `${name}=${value}`)
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options.join(','), path, `${sectors * sectorSizeBytes}`)
  for (const [index, work] of works.entries()) {
    const commands = work.flatMap(({ verb, place, sectors: wanted, aligned }) => {
      const first = Math.floor(place * sectors)
      const start = aligned ? first - (first % 128) : first
      const count = Math.min(wanted, sectors - start)
      return ['-c', `${verb} ${start * sectorSizeBytes} ${count * sectorSizeBytes}`]
    })
    tryQemu('qemu-io', '-f', 'qcow2', ...commands, path)
    const isCorrupt = !('compat' in shape) && (readFileSync(path).readUInt8(79) & 2) !== 0
    if (isCorrupt) return null
    qemu('qemu-img', 'snapshot', '-c', `after ${index}`, path)
  }
  if (bitmap && !('compat' in shape)) qemu('qemu-img', 'bitmap', '--add', '-f', 'qcow2', path, 'changed')
  return readFileSync(path)
}

/** Reads the disk as qemu-img does, and finds no hole where it has data. */
function checkDisk(disk: Qcow2Disk, expected: Buffer, stepBytes: number): DataClusters {
  const read = Buffer.alloc(disk.sizeBytes, 0xa5)
  for (let at = 0; at < read.length; at += stepBytes) disk.read(at, read.subarray(at, at + stepBytes))
  assert.ok(read.equals(expected))
  const data = DataClusters.none(disk.sizeBytes)
  let end = 0
  for (const { kind, offsetBytes, sizeBytes } of disk.extents()) {
    assert.equal(offsetBytes, end)
    end += sizeBytes
    if (kind === 'data') data.mark(offsetBytes, sizeBytes)
    else assert.ok(expected.subarray(offsetBytes, end).equals(Buffer.alloc(sizeBytes)))
  }
  assert.equal(end, disk.sizeBytes)
  return data
}

test('whatever became of an image, it is read as qemu-img reads it, and made thin', (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'disk.qcow2')
  const back = join(folder, 'back.raw')
  const thin = join(folder, 'thin.qcow2')
  fc.assert(
    fc.property(life, (life) => {
      rmSync(path, { force: true })
      const bytes = live(path, life)
      if (bytes === null) {
        assert.throws(() => new Qcow2Image(new BufferSource(readFileSync(path))), { code: 'not-clean' })
        return
      }
      const image = new Qcow2Image(new BufferSource(bytes))
      const snapshots = image.snapshots()
      assert.equal(snapshots.length, life.works.length)
      for (const snapshot of snapshots) {
        qemu('qemu-img', 'convert', '-O', 'raw', '-f', 'qcow2', '-l', `snapshot.id=${snapshot.id}`, path, back)
        checkDisk(image.diskAt(snapshot), readFileSync(back), life.stepBytes)
      }
      qemu('qemu-img', 'convert', '-O', 'raw', '-f', 'qcow2', path, back)
      const made = ThinImage.with(checkDisk(image.disk, readFileSync(back), life.stepBytes))
      const madeBytes = Buffer.alloc(made.sizeBytes)
      made.read(0, madeBytes, (offsetBytes, target) => image.disk.read(offsetBytes, target))
      writeFileSync(thin, madeBytes)
      qemu('qemu-img', 'check', '-q', '-f', 'qcow2', thin)
      qemu('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', back, thin)
    }),
    { numRuns: long ? 200 : 8 },
  )
})
