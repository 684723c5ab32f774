import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { holdsFormatMagic, magicAreaSizeBytes } from './image-magic.ts'
import { inspectImage } from './inspect-image.ts'
import { ImageFolder } from './testing/images.ts'

const mib = 1_048_576

function qemuImg(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('qemu-img', args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

function newQcow2(folder: ImageFolder, name: string, ...options: readonly string[]): void {
  qemuImg('create', '-q', '-f', 'qcow2', ...options, folder.at(name), '64M')
}

test('what a qcow2 image says of itself is told', async (context) => {
  const folder = await ImageFolder.open(context)
  newQcow2(folder, 'disk.qcow2')
  const { qcow2, magic, fileSizeBytes } = await inspectImage(folder.place('disk.qcow2'), 'qcow2')
  assert.partialDeepStrictEqual(qcow2, { version: 3, virtualSizeBytes: 64 * mib, snapshotCount: 0 })
  assert.equal(magic, 'qcow2')
  assert.equal(fileSizeBytes, folder.bytes('disk.qcow2').length)
})

test('images that need other files, or another key, are refused', async (context) => {
  const folder = await ImageFolder.open(context)
  newQcow2(folder, 'base.qcow2')
  newQcow2(folder, 'overlay.qcow2', '-b', folder.at('base.qcow2'), '-F', 'qcow2')
  newQcow2(folder, 'external.qcow2', '-o', `data_file=${folder.at('data.raw')},data_file_raw=on`)
  const inspect = (name: string) => inspectImage(folder.place(name), 'qcow2')
  await assert.rejects(inspect('overlay.qcow2'), { name: 'DataPathError', code: 'backing-file' })
  await assert.rejects(inspect('external.qcow2'), { name: 'DataPathError', code: 'external-data-file' })
  const bytes = folder.bytes('base.qcow2')
  for (const [offset, value, code] of [
    [4, 9, 'bad-image'],
    [35, 2, 'encrypted-image'],
    [79, 1, 'unsupported-image'],
    [79, 2, 'unsupported-image'],
    [79, 32, 'unsupported-image'],
  ] as const) {
    const changed = Buffer.from(bytes)
    changed[offset] = value
    writeFileSync(folder.at('changed.qcow2'), changed)
    await assert.rejects(inspect('changed.qcow2'), { name: 'DataPathError', code }, `byte ${offset}`)
  }
})

test('a raw image that begins like another format is told, and taken for nothing', async (context) => {
  const folder = await ImageFolder.open(context)
  const path = folder.at('disk.raw')
  const place = folder.place('disk.raw')
  for (const format of ['qcow2', 'luks', 'vmdk', 'vhdx', 'vpc', 'vdi', 'qed', 'parallels', 'qcow'] as const) {
    if (format === 'luks') {
      writeFileSync(path, Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'))
    } else {
      qemuImg('create', '-q', '-f', format, path, '64M')
    }
    const { magic, qcow2 } = await inspectImage(place, 'raw')
    assert.equal(magic, format)
    assert.equal(qcow2, null)
  }
  writeFileSync(path, '')
  truncateSync(path, 64 * mib)
  assert.deepEqual(await inspectImage(place, 'raw'), { fileSizeBytes: 64 * mib, magic: null, qcow2: null })
  await assert.rejects(inspectImage(place, 'qcow2'), { code: 'bad-image' })
  symlinkSync(path, folder.at('link'))
  await assert.rejects(inspectImage(folder.place('link'), 'raw'), { code: 'not-regular' })
})

test('the magic of a second LUKS2 header is found at the end of the area that is looked at', () => {
  const bytes = Buffer.alloc(magicAreaSizeBytes)
  bytes.write('SKUL\xba\xbe', 16_384, 'latin1')
  assert.equal(holdsFormatMagic(bytes), 'luks')
  assert.equal(holdsFormatMagic(bytes.subarray(0, -1)), null)
  assert.equal(holdsFormatMagic(new Uint8Array()), null)
})
