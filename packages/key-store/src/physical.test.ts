import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { exercisePhysical, FilePhysical, MemoryPhysical } from './index.ts'

test('MemoryPhysical is a Physical', async () => {
  await exercisePhysical(new MemoryPhysical())
})

test('FilePhysical is a Physical, for its owner alone', async (context) => {
  const folder = join(temporaryFolder(context), 'storage')
  await exercisePhysical(new FilePhysical(folder))
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  assert.ok(names.length > 3)
  for (const name of names) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name)
})

test('ids cannot lead out of the folder', async (context) => {
  const physical = new FilePhysical(temporaryFolder(context))
  for (const id of ['../x', '', '.', '..', 'a/b', 'a\0', 'é', '.hidden', 'x'.repeat(101)]) {
    await assert.rejects(physical.write('value', id, Uint8Array.of(1)), { code: 'bad-argument' }, JSON.stringify(id))
    await assert.rejects(physical.read('value', id), { code: 'bad-argument' })
    await assert.rejects(physical.erase('value', id), { code: 'bad-argument' })
  }
})

test('the exercise finds a storage that keeps what was erased', async () => {
  class Forgetful extends MemoryPhysical {
    override async erase(): Promise<void> {}
  }
  await assert.rejects(exercisePhysical(new Forgetful()), { name: 'AssertionError' })
})
