import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { DataPathError, dataPathErrorOf } from './data-path-error.ts'
import { abandon, createExclusive } from './regular-file.ts'

test('what was made is removed, and the error that gave it up goes on', async (context) => {
  const path = join(temporaryFolder(context), 'file')
  await using handle = await createExclusive(path)
  await assert.rejects(abandon(path, handle, new RangeError('first')), RangeError)
  assert.ok(!existsSync(path))
})

test('a file that took the place of ours stays', async (context) => {
  const path = join(temporaryFolder(context), 'file')
  await using handle = await createExclusive(path)
  renameSync(path, `${path}.old`)
  writeFileSync(path, 'of somebody else')
  await assert.rejects(abandon(path, handle, new RangeError('first')), RangeError)
  assert.equal(readFileSync(path, 'utf8'), 'of somebody else')
})

test('a file that cannot be removed is told, with both errors', async (context) => {
  const path = join(temporaryFolder(context), 'file')
  const handle = await createExclusive(path)
  await handle.close()
  const first = new RangeError('first')
  const error = await abandon(path, handle, first).catch((reason: unknown) => reason)
  assert.ok(error instanceof DataPathError && error.cause instanceof AggregateError)
  assert.equal(error.code, 'io')
  assert.equal(error.cause.errors[0], first)
  assert.ok(existsSync(path))
})

test('only errors of the file system are translated', () => {
  const system = (code: string) => Object.assign(new Error(code), { code, syscall: 'write' })
  for (const [code, expected] of [
    ['ENOENT', 'not-found'],
    ['ELOOP', 'not-regular'],
    ['EEXIST', 'already-exists'],
    ['ENOSPC', 'no-space'],
    ['EDQUOT', 'no-space'],
    ['EIO', 'io'],
    ['ESTALE', 'io'],
  ] as const) {
    const error = dataPathErrorOf(system(code), 'cannot write x')
    assert.ok(error instanceof DataPathError)
    assert.equal(error.code, expected)
    assert.equal(error.message, `cannot write x: ${code}`)
  }
  const others = [new RangeError('x'), Object.assign(new Error('x'), { code: 'bad-magic' }), 'x', null]
  for (const other of others) assert.equal(dataPathErrorOf(other, 'cannot'), other)
})
