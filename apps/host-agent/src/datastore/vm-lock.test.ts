import assert from 'node:assert/strict'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { NodeStorage } from '@cryptvisor/storage'
import { temporaryFolder } from '@cryptvisor/testkit'
import { runTool } from '../process/tool.ts'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { Folder } from './folder.ts'
import { lockVm } from './vm-lock.ts'

async function locked(context: Parameters<typeof temporaryFolder>[0]) {
  const path = temporaryFolder(context)
  const folder = await Folder.open(new NodeStorage(descriptorTools), path, async () => {})
  assert.ok(folder !== null)
  return { path, folder }
}

/** Whether another process can have the lock. */
async function isFree(path: string): Promise<boolean> {
  return (await runTool('flock', ['--nonblock', join(path, 'vm.lock'), 'true'])).exitCode === 0
}

test('while one holds the lock no other has it, in this process or another', async (context) => {
  const { path, folder } = await locked(context)
  await using open = folder
  {
    await using _ = await lockVm(open)
    await assert.rejects(lockVm(open), { code: 'vm-busy' })
    assert.equal(await isFree(path), false)
  }
  assert.equal(await isFree(path), true)
  await using _ = await lockVm(open)
})

test('a lock file that was removed or replaced by a link is no lock', async (context) => {
  const { path, folder } = await locked(context)
  await using open = folder
  const first = await lockVm(open)
  rmSync(join(path, 'vm.lock'))
  await using _ = await lockVm(open)
  await first[Symbol.asyncDispose]()
  rmSync(join(path, 'vm.lock'))
  writeFileSync(join(path, 'other'), '')
  symlinkSync(join(path, 'other'), join(path, 'vm.lock'))
  await assert.rejects(lockVm(open), { code: 'datastore-mismatch' })
})
