import assert from 'node:assert/strict'
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { createLuksFile, readLuksHeader } from './luks-file.ts'
import { newLuksImage, plainImage } from './testing/images.ts'

test('a header is read as it was written, and no further than its payload', async (context) => {
  const folder = temporaryFolder(context)
  const { path } = await newLuksImage(folder, 'disk.luks', 512)
  const written = readFileSync(path)
  writeFileSync(path, Buffer.alloc(1000, 1), { flag: 'a' })
  const { header, bytes, fileSizeBytes } = await readLuksHeader(path)
  assert.equal(header.payloadOffsetBytes, 2_097_152)
  assert.ok(written.equals(bytes))
  assert.equal(fileSizeBytes, 2_097_152 + 1000)
})

test('what is no LUKS file, or a cut one, is told', async (context) => {
  const folder = temporaryFolder(context)
  const raw = plainImage(folder, 'raw', 4096)
  await assert.rejects(readLuksHeader(raw.path), { name: 'LuksError', code: 'bad-magic' })
  const { path } = await newLuksImage(folder, 'disk.luks', 512)
  symlinkSync(path, join(folder, 'link'))
  await assert.rejects(readLuksHeader(join(folder, 'link')), { code: 'not-regular' })
  await assert.rejects(readLuksHeader(join(folder, 'missing')), { code: 'not-found' })
  truncateSync(path, 2_097_151)
  await assert.rejects(readLuksHeader(path), { name: 'DataPathError', code: 'truncated' })
  truncateSync(path, 500)
  await assert.rejects(readLuksHeader(path), { name: 'LuksError', code: 'truncated' })
})

test('a file is made of a whole header only', async (context) => {
  const folder = temporaryFolder(context)
  const { path } = await newLuksImage(folder, 'disk.luks', 512)
  const header = readFileSync(path)
  const other = join(folder, 'other.luks')
  await assert.rejects(createLuksFile(other, header.subarray(0, 4096), 512), { code: 'size-mismatch' })
  await assert.rejects(createLuksFile(other, Buffer.alloc(4096), 512), { name: 'LuksError' })
  await createLuksFile(other, header, 512)
  assert.ok(readFileSync(other).equals(header))
})
