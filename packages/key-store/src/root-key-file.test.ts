import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { createRootKeyFile, readRootKeyFile } from './index.ts'

test('a root key is made once and read back', async (context) => {
  const path = join(temporaryFolder(context), 'elsewhere', 'root.key')
  await assert.rejects(readRootKeyFile(path), { code: 'root-key-missing' })
  using made = await createRootKeyFile(path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
  using read = await readRootKeyFile(path)
  assert.ok(read.equal(made))
  const before = readFileSync(path)
  await assert.rejects(createRootKeyFile(path), { code: 'root-key-exists' })
  assert.deepEqual(readFileSync(path), before)
})

test('a root key file that others may read, or of another size, is refused', async (context) => {
  const path = join(temporaryFolder(context), 'root.key')
  using _made = await createRootKeyFile(path)
  for (const mode of [0o640, 0o604]) {
    chmodSync(path, mode)
    await assert.rejects(readRootKeyFile(path), { code: 'root-key-unusable' })
  }
  chmodSync(path, 0o400)
  using _read = await readRootKeyFile(path)
  chmodSync(path, 0o600)
  truncateSync(path, 31)
  await assert.rejects(readRootKeyFile(path), { code: 'root-key-unusable' })
  await assert.rejects(readRootKeyFile(join(path, '..')), { code: 'root-key-unusable' })
})
