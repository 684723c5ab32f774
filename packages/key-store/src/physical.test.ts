import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exercisePhysical, MemoryPhysical } from './index.ts'

test('MemoryPhysical is a Physical', async () => {
  await exercisePhysical(new MemoryPhysical())
})

test('the exercise finds a storage that keeps what was erased', async () => {
  class Forgetful extends MemoryPhysical {
    override async erase(): Promise<void> {}
  }
  await assert.rejects(exercisePhysical(new Forgetful()), { name: 'AssertionError' })
})
