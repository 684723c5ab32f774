import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { replaceFile, writeNewFile } from './write-file.ts'

test('a new file replaces nothing, and what replaces a file leaves nothing beside it', async (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'file')
  await writeNewFile(path, 'first')
  await assert.rejects(writeNewFile(path, 'other'), { code: 'bad-argument' })
  assert.equal(readFileSync(path, 'utf8'), 'first')
  // One that was cut short, and could be read by others.
  writeFileSync(`${path}.new`, 'a part of something longer', { mode: 0o644 })
  await replaceFile(path, 'second')
  assert.equal(readFileSync(path, 'utf8'), 'second')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(folder), ['file'])
  await assert.rejects(replaceFile(join(folder, 'missing', 'file'), 'x'), { code: 'bad-argument' })
})
