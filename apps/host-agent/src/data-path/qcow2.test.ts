import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { DataPathError } from './data-path-error.ts'
import { holdsFormatMagic, magicAreaSizeBytes } from './image-magic.ts'
import { inspectImage } from './inspect-image.ts'
import { inspectQcow2 } from './qcow2.ts'

function qemuImg(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('qemu-img', args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

function newImage(folder: string, name: string, ...options: readonly string[]): string {
  const path = join(folder, name)
  qemuImg('create', '-q', '-f', 'qcow2', ...options, path, '64M')
  return path
}

test('what qemu-img makes is read, in all its forms', async (context) => {
  const folder = temporaryFolder(context)
  for (const [name, clusterBits, options] of [
    ['plain', 16, []],
    ['old', 16, ['-o', 'compat=0.10']],
    ['small-clusters', 9, ['-o', 'cluster_size=512']],
    ['large-clusters', 21, ['-o', 'cluster_size=2M']],
    ['extended', 16, ['-o', 'extended_l2=on']],
    ['zstd', 16, ['-o', 'compression_type=zstd']],
    ['lazy', 16, ['-o', 'lazy_refcounts=on']],
  ] as const) {
    const path = newImage(folder, `${name}.qcow2`, ...options)
    const { qcow2, magic, fileSizeBytes } = await inspectImage(path, 'qcow2')
    assert.deepEqual(
      qcow2,
      {
        version: name === 'old' ? 2 : 3,
        virtualSizeBytes: 64 * 1_048_576,
        clusterBits,
        snapshotCount: 0,
        encryption: 'none',
        hasBackingFile: false,
        hasExternalDataFile: false,
        dirty: false,
        corrupt: false,
      },
      name,
    )
    assert.equal(magic, 'qcow2')
    assert.equal(fileSizeBytes, readFileSync(path).length)
  }
})

test('snapshots are counted', async (context) => {
  const path = newImage(temporaryFolder(context), 'disk.qcow2')
  qemuImg('snapshot', '-c', 'one', path)
  qemuImg('snapshot', '-c', 'two', path)
  assert.equal((await inspectImage(path, 'qcow2')).qcow2?.snapshotCount, 2)
})

test('images that need other files, or another key, are refused', async (context) => {
  const folder = temporaryFolder(context)
  const base = newImage(folder, 'base.qcow2')
  const overlay = newImage(folder, 'overlay.qcow2', '-b', base, '-F', 'qcow2')
  await assert.rejects(inspectImage(overlay, 'qcow2'), { name: 'DataPathError', code: 'backing-file' })
  const external = newImage(folder, 'external.qcow2', '-o', `data_file=${join(folder, 'data.raw')},data_file_raw=on`)
  await assert.rejects(inspectImage(external, 'qcow2'), { code: 'external-data-file' })
  const bytes = readFileSync(base)
  for (const [offset, value, code] of [
    [35, 1, 'encrypted-image'],
    [35, 2, 'encrypted-image'],
    [79, 1, 'unsupported-image'],
    [79, 2, 'unsupported-image'],
    [79, 4, 'external-data-file'],
  ] as const) {
    const changed = Buffer.from(bytes)
    changed[offset] = value
    writeFileSync(join(folder, 'changed.qcow2'), changed)
    await assert.rejects(inspectImage(join(folder, 'changed.qcow2'), 'qcow2'), { code }, `byte ${offset}`)
  }
  // The name of a data file counts even where the feature bit was taken away.
  const hidden = readFileSync(external)
  hidden[79] = 0
  assert.ok(inspectQcow2(hidden.subarray(0, 65_536)).hasExternalDataFile)
})

/** Each damages exactly one field of a valid header. */
const damages: readonly (readonly [string, (header: Buffer) => Buffer | unknown])[] = [
  ['another magic', (header) => header.writeUInt8(0, 0)],
  ['version 1', (header) => header.writeUInt32BE(1, 4)],
  ['version 4', (header) => header.writeUInt32BE(4, 4)],
  ['cut fields', (header) => header.subarray(0, 71)],
  ['cut fields of version 3', (header) => header.subarray(0, 103)],
  ['clusters of 256 bytes', (header) => header.writeUInt32BE(8, 20)],
  ['clusters of 4 MiB', (header) => header.writeUInt32BE(22, 20)],
  ['no size', (header) => header.writeBigUInt64BE(0n, 24)],
  ['a size beyond exact numbers', (header) => header.writeBigUInt64BE(2n ** 53n, 24)],
  ['a size that no VM may have a disk of', (header) => header.writeBigUInt64BE(2n ** 50n + 512n, 24)],
  ['an unknown encryption', (header) => header.writeUInt32BE(3, 32)],
  ['an L1 table off its cluster', (header) => header.writeBigUInt64BE(65_537n, 40)],
  ['a refcount table off its cluster', (header) => header.writeBigUInt64BE(1n, 48)],
  ['no refcount table', (header) => header.writeBigUInt64BE(0n, 48)],
  ['too many snapshots', (header) => header.writeUInt32BE(65_537, 60)],
  ['snapshots off their cluster', (header) => header.writeBigUInt64BE(8n, 64)],
  ['an unknown incompatible feature', (header) => header.writeBigUInt64BE(32n, 72)],
  ['the highest incompatible feature', (header) => header.writeBigUInt64BE(1n << 63n, 72)],
  ['refcounts of 128 bits', (header) => header.writeUInt32BE(7, 96)],
  ['a short header length', (header) => header.writeUInt32BE(96, 100)],
  ['an odd header length', (header) => header.writeUInt32BE(108, 100)],
  ['a header longer than its cluster', (header) => header.writeUInt32BE(65_544, 100)],
  ['a backing file name outside the first cluster', (header) => header.writeBigUInt64BE(65_536n, 8)],
  ['a backing file without a name', (header) => header.writeBigUInt64BE(512n, 8)],
  ['a header extension longer than its room', (header) => header.writeUInt32BE(0xffff_fff0, 116)],
]

test('each damaged header is refused', (context) => {
  const valid = readFileSync(newImage(temporaryFolder(context), 'disk.qcow2')).subarray(0, 65_536)
  assert.equal(inspectQcow2(valid).version, 3)
  const largest = Buffer.from(valid)
  largest.writeBigUInt64BE(2n ** 50n, 24)
  assert.equal(inspectQcow2(largest).virtualSizeBytes, 2 ** 50)
  for (const [name, damage] of damages) {
    const header = Buffer.from(valid)
    const damaged = damage(header)
    assert.throws(
      () => inspectQcow2(Buffer.isBuffer(damaged) ? damaged : header),
      { name: 'DataPathError', code: 'bad-image' },
      name,
    )
  }
})

test('no bytes do anything but parse or be refused', (context) => {
  const valid = readFileSync(newImage(temporaryFolder(context), 'disk.qcow2')).subarray(0, 1024)
  fc.assert(
    fc.property(fc.nat({ max: 600 }), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
      const header = Buffer.from(valid)
      header.set(bytes, at)
      try {
        inspectQcow2(header)
      } catch (error) {
        assert.ok(error instanceof DataPathError)
      }
      assert.doesNotThrow(() => holdsFormatMagic(header))
    }),
  )
})

test('a raw image that begins like another format is told, and taken for nothing', async (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'disk.raw')
  for (const format of ['qcow2', 'luks', 'vmdk', 'vhdx', 'vpc', 'vdi', 'qed', 'parallels', 'qcow'] as const) {
    if (format === 'luks') {
      writeFileSync(path, Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'))
    } else {
      qemuImg('create', '-q', '-f', format, path, '64M')
    }
    const { magic, qcow2 } = await inspectImage(path, 'raw')
    assert.equal(magic, format)
    assert.equal(qcow2, null)
  }
  writeFileSync(path, '')
  truncateSync(path, 64 * 1_048_576)
  assert.deepEqual(await inspectImage(path, 'raw'), { fileSizeBytes: 64 * 1_048_576, magic: null, qcow2: null })
  await assert.rejects(inspectImage(path, 'qcow2'), { code: 'bad-image' })
  symlinkSync(path, join(folder, 'link'))
  await assert.rejects(inspectImage(join(folder, 'link'), 'raw'), { code: 'not-regular' })
})

test('the magic of a second LUKS2 header is found at the end of the area that is looked at', () => {
  const bytes = Buffer.alloc(magicAreaSizeBytes)
  bytes.write('SKUL\xba\xbe', 16_384, 'latin1')
  assert.equal(holdsFormatMagic(bytes), 'luks')
  assert.equal(holdsFormatMagic(bytes.subarray(0, -1)), null)
  assert.equal(holdsFormatMagic(new Uint8Array()), null)
})
