import assert from 'node:assert/strict'
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { createLuksFile, readLuksHeader } from './luks-file.ts'
import { ImageFolder } from './testing/images.ts'

test('a header is read as it was written, and no further than its payload', async (context) => {
  const folder = await ImageFolder.open(context)
  const { place } = await folder.luksImage('disk.luks', 512)
  const written = readFileSync(place.path)
  writeFileSync(place.path, Buffer.alloc(1000, 1), { flag: 'a' })
  const { header, bytes, fileSizeBytes } = await readLuksHeader(place)
  assert.equal(header.payloadOffsetBytes, 2_097_152)
  assert.ok(written.equals(bytes))
  assert.equal(fileSizeBytes, 2_097_152 + 1000)
})

test('what is no LUKS file, or a cut one, is told', async (context) => {
  const folder = await ImageFolder.open(context)
  const raw = folder.plainImage('raw', 4096)
  await assert.rejects(readLuksHeader(raw.place), { name: 'LuksError', code: 'bad-magic' })
  const { place } = await folder.luksImage('disk.luks', 512)
  symlinkSync(place.path, folder.at('link'))
  await assert.rejects(readLuksHeader(folder.place('link')), { code: 'not-regular' })
  await assert.rejects(readLuksHeader(folder.place('missing')), { code: 'not-found' })
  truncateSync(place.path, 2_097_151)
  await assert.rejects(readLuksHeader(place), { name: 'DataPathError', code: 'truncated' })
  truncateSync(place.path, 500)
  await assert.rejects(readLuksHeader(place), { name: 'LuksError', code: 'truncated' })
})

test('a file is made of a whole header only', async (context) => {
  const folder = await ImageFolder.open(context)
  const { place } = await folder.luksImage('disk.luks', 512)
  const header = readFileSync(place.path)
  const other = folder.place('other.luks')
  await assert.rejects(createLuksFile(other, header.subarray(0, 4096), 512), { code: 'size-mismatch' })
  await assert.rejects(createLuksFile(other, Buffer.alloc(4096), 512), { name: 'LuksError' })
  await createLuksFile(other, header, 512)
  assert.ok(readFileSync(other.path).equals(header))
})
