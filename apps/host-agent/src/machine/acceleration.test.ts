import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { guestFiles, guestSkip, temporaryFolder } from '@cryptvisor/testkit'
import { AccelerationChoice, boots, findAcceleration } from './acceleration.ts'

const bootMs = 60_000

/** Where KVM hangs this is waited for. */
const hangMs = 4000

test('an accelerator works when a Linux boots with it, and not when it merely starts', {
  skip: guestSkip,
}, async (context) => {
  const { kernel } = await guestFiles()
  assert.ok(await boots('tcg', kernel, bootMs))
  const noKernel = join(temporaryFolder(context), 'vmlinuz')
  writeFileSync(noKernel, Buffer.alloc(65_536))
  assert.ok(!(await boots('tcg', noKernel, hangMs)))
})

test('what is found says why guests are emulated', { skip: guestSkip }, async (context) => {
  const { kernel } = await guestFiles()
  const found = await findAcceleration(dirname(kernel), hangMs)
  assert.equal(found.accelerator === 'kvm', found.reason === null)
  const unknown = await findAcceleration(temporaryFolder(context))
  assert.equal(unknown.accelerator, 'tcg')
  assert.match(unknown.reason ?? '', /no KVM|no kernel/)
})

test('the settings of a host decide over what is found, and the wish over both', async () => {
  let count = 0
  const find = async () => {
    count++
    return { accelerator: 'kvm', reason: null } as const
  }
  assert.equal(await new AccelerationChoice('tcg', () => {}, find).for('auto'), 'tcg')
  assert.equal(count, 0)
  const said: unknown[] = []
  const choice = new AccelerationChoice(null, (found) => said.push(found), find)
  assert.deepEqual([await choice.for('auto'), await choice.for('auto'), await choice.for('tcg')], ['kvm', 'kvm', 'tcg'])
  assert.equal(count, 1)
  assert.deepEqual(said, [{ accelerator: 'kvm', reason: null }])
})
