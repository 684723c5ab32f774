import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { parseQcow2Header } from './header.ts'
import { Qcow2Image } from './image.ts'
import { Qcow2Error, type Qcow2ErrorCode } from './qcow2-error.ts'
import { BufferSource } from './testing/buffer-source.ts'
import { qemu, tryQemu } from './testing/qemu.ts'

const mib = 1_048_576

function newImage(folder: string, name: string, ...options: readonly string[]): Buffer {
  const path = join(folder, `${name}.qcow2`)
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', ...options, path, '64M')
  return readFileSync(path)
}

test('what qemu-img makes is described, in all its forms', (context) => {
  const folder = temporaryFolder(context)
  for (const [name, clusterSizeBytes, options] of [
    ['plain', 65_536, []],
    ['old', 65_536, ['-o', 'compat=0.10']],
    ['small-clusters', 512, ['-o', 'cluster_size=512']],
    ['large-clusters', 2 * mib, ['-o', 'cluster_size=2M']],
    ['extended', 65_536, ['-o', 'extended_l2=on']],
    ['zstd', 65_536, ['-o', 'compression_type=zstd']],
    ['lazy', 65_536, ['-o', 'lazy_refcounts=on']],
  ] as const) {
    assert.partialDeepStrictEqual(
      parseQcow2Header(newImage(folder, name, ...options).subarray(0, 65_536)),
      {
        version: name === 'old' ? 2 : 3,
        virtualSizeBytes: 64 * mib,
        clusterSizeBytes,
        snapshotCount: 0,
        compression: name === 'zstd' ? 'zstd' : 'zlib',
        extendedL2: name === 'extended',
        encryption: 'none',
        hasBackingFile: false,
        hasExternalDataFile: false,
        dirty: false,
        corrupt: false,
      },
      name,
    )
  }
})

function open(bytes: Uint8Array): Qcow2Image {
  return new Qcow2Image(new BufferSource(bytes))
}

test('images that need other files, or another key, are refused', (context) => {
  const folder = temporaryFolder(context)
  const base = newImage(folder, 'base')
  const overlay = newImage(folder, 'overlay', '-b', join(folder, 'base.qcow2'), '-F', 'qcow2')
  assert.throws(() => open(overlay), { name: 'Qcow2Error', code: 'backing-file' })
  const data = `data_file=${join(folder, 'data.raw')},data_file_raw=on`
  const external = newImage(folder, 'external', '-o', data)
  assert.throws(() => open(external), { code: 'external-data-file' })
  // QEMU's own LUKS formatter takes seconds and fails at random, so that the fields are set by hand.
  for (const [offset, value, code] of [
    [35, 1, 'encrypted'],
    [35, 2, 'encrypted'],
    [79, 1, 'not-clean'],
    [79, 2, 'not-clean'],
    [79, 4, 'external-data-file'],
  ] as const) {
    const changed = Buffer.from(base)
    changed[offset] = value
    assert.throws(() => open(changed), { code }, `byte ${offset}`)
  }
  // The name of a data file counts even where the feature bit was taken away.
  external[79] = 0
  assert.throws(() => open(external), { code: 'external-data-file' })
})

test('an image whose writer died is refused where it kept no refcounts', (context) => {
  const folder = temporaryFolder(context)
  newImage(folder, 'lazy', '-o', 'lazy_refcounts=on')
  const path = join(folder, 'lazy.qcow2')
  const { signal } = tryQemu('qemu-io', '-f', 'qcow2', '-c', 'write 0 64k', '-c', 'abort', path)
  assert.equal(signal, 'SIGABRT')
  assert.throws(() => open(readFileSync(path)), { code: 'not-clean', message: /qemu-img check -r all/ })
  qemu('qemu-img', 'check', '-q', '-r', 'all', path)
  assert.equal(open(readFileSync(path)).disk.sizeBytes, 64 * mib)
})

/** Each damages exactly one field of a valid header. */
const damages: readonly (readonly [string, (header: Buffer) => Buffer | number, Qcow2ErrorCode?])[] = [
  ['another magic', (header) => header.writeUInt8(0, 0)],
  ['version 1', (header) => header.writeUInt32BE(1, 4)],
  ['version 4', (header) => header.writeUInt32BE(4, 4)],
  ['no bytes', (header) => header.subarray(0, 0)],
  ['cut fields', (header) => header.subarray(0, 71)],
  ['cut fields of version 3', (header) => header.subarray(0, 103)],
  ['clusters of 256 bytes', (header) => header.writeUInt32BE(8, 20)],
  ['clusters of 4 MiB', (header) => header.writeUInt32BE(22, 20)],
  ['no size', (header) => header.writeBigUInt64BE(0n, 24)],
  ['a size beyond exact numbers', (header) => header.writeBigUInt64BE(2n ** 53n, 24)],
  ['a size that no VM may have a disk of', (header) => header.writeBigUInt64BE(2n ** 50n + 512n, 24)],
  ['an unknown encryption', (header) => header.writeUInt32BE(3, 32)],
  ['an L1 table longer than QEMU opens', (header) => header.writeUInt32BE(4_194_305, 36)],
  ['an L1 table off its cluster', (header) => header.writeBigUInt64BE(65_537n, 40)],
  ['no L1 table', (header) => header.writeBigUInt64BE(0n, 40)],
  ['a refcount table off its cluster', (header) => header.writeBigUInt64BE(1n, 48)],
  ['no refcount table', (header) => header.writeBigUInt64BE(0n, 48)],
  ['too many snapshots', (header) => header.writeUInt32BE(65_537, 60)],
  ['snapshots off their cluster', (header) => header.writeBigUInt64BE(8n, 64)],
  ['snapshots without a table', (header) => header.writeUInt32BE(1, 60)],
  ['an unknown incompatible feature', (header) => header.writeBigUInt64BE(32n, 72), 'unsupported-feature'],
  ['the highest incompatible feature', (header) => header.writeBigUInt64BE(1n << 63n, 72), 'unsupported-feature'],
  ['a compression bit without a method', (header) => header.writeBigUInt64BE(8n, 72)],
  ['a compression method without its bit', (header) => header.writeUInt8(1, 104)],
  ['refcounts of 128 bits', (header) => header.writeUInt32BE(7, 96)],
  ['a short header length', (header) => header.writeUInt32BE(96, 100)],
  ['an odd header length', (header) => header.writeUInt32BE(108, 100)],
  ['a header longer than its cluster', (header) => header.writeUInt32BE(65_544, 100)],
  ['a backing file name outside the first cluster', (header) => header.writeBigUInt64BE(65_536n, 8)],
  ['a backing file without a name', (header) => header.writeBigUInt64BE(512n, 8)],
  ['a header extension longer than its room', (header) => header.writeUInt32BE(0xffff_fff0, 116)],
]

test('each damaged header is refused', (context) => {
  const valid = newImage(temporaryFolder(context), 'disk').subarray(0, 65_536)
  assert.equal(parseQcow2Header(valid).version, 3)
  const largest = Buffer.from(valid)
  largest.writeBigUInt64BE(2n ** 50n, 24)
  assert.equal(parseQcow2Header(largest).virtualSizeBytes, 2 ** 50)
  for (const [name, damage, code = 'bad-header'] of damages) {
    const header = Buffer.from(valid)
    const damaged = damage(header)
    assert.throws(
      () => parseQcow2Header(Buffer.isBuffer(damaged) ? damaged : header),
      { name: 'Qcow2Error', code },
      name,
    )
  }
})

test('subclusters in clusters that are too small for them, and an unknown compression, are refused', (context) => {
  const folder = temporaryFolder(context)
  const small = newImage(folder, 'small', '-o', 'cluster_size=8k')
  small.writeBigUInt64BE(16n, 72)
  assert.throws(() => open(small), { code: 'bad-header', message: /extended L2 entries need 14/ })
  const zstd = newImage(folder, 'zstd', '-o', 'compression_type=zstd')
  zstd.writeUInt8(2, 104)
  assert.throws(() => open(zstd), { code: 'unsupported-feature', message: /compression_type 2/ })
})

test('no bytes do anything but parse or be refused', (context) => {
  const valid = newImage(temporaryFolder(context), 'disk').subarray(0, 1024)
  fc.assert(
    fc.property(fc.nat({ max: 600 }), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
      const header = Buffer.from(valid)
      header.set(bytes, at)
      try {
        parseQcow2Header(header)
      } catch (error) {
        assert.ok(error instanceof Qcow2Error)
      }
    }),
  )
})
