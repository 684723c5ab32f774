import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import type { OperationRequest } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { assertWhole } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

test('a task is paused, slowed down and resumed at its host, also after a restart of the control plane', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  const shown = () => world.work.tasks.show(task.id)
  await world.until(async () => (await shown()).doneBytes !== 0)
  assert.equal((await world.work.tasks.pause(task.id)).paused, true)
  assert.deepEqual([(await shown()).rateBytesPerSecond, (await shown()).secondsLeft], [null, null])
  const operation = [...world.hostA.operations.values()].at(-1)
  assert.ok(operation)
  const before = operation.status.doneBytes
  await world.work.tasks.limit(task.id, { bytesPerSecondMax: 1_048_576 })
  assert.equal(operation.speed, 1_048_576)
  await world.reboot()
  await world.until(async () => (await shown()).paused)
  assert.equal(operation.status.doneBytes, before, 'nothing moved')
  await world.work.tasks.limit(task.id, { bytesPerSecondMax: null })
  assert.equal(operation.speed, null)
  const resumed = await world.work.tasks.resume(task.id)
  assert.deepEqual([resumed.paused, resumed.rateBytesPerSecond], [false, 1000], 'the rate is the host’s')
  operation.looksLeft = 1
  assert.equal((await world.ended(task)).state, 'success')
  await assertWhole(world)
})

test('a task whose host did not answer the last look is paused all the same', async (context) => {
  const world = await World.start(context, { retryMs: 600_000, retryMaxMs: 600_000 })
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  let failed = false
  world.process.faults.onPoint(({ name, when }) => {
    if (failed || when === 'after' || !/GET .v1.operations/.test(name)) return
    failed = true
    throw new RestClientError('timeout', 'host-a did not answer in time')
  })
  await world.until(async () => /^waiting for host-a/.test((await world.work.tasks.show(task.id)).step))
  await world.work.tasks.pause(task.id)
  const operation = [...world.hostA.operations.values()].at(-1)
  assert.equal(operation?.status.paused, true)
  await world.reboot()
  await world.work.tasks.cancel(task.id)
  assert.equal((await world.ended(task)).state, 'cancelled')
})

test('a task that is paused can be cancelled', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  await world.work.tasks.pause(task.id)
  await world.work.tasks.cancel(task.id)
  assert.equal((await world.ended(task)).state, 'cancelled')
  await assertWhole(world)
})

test('what moves no data cannot be paused', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await assert.rejects(world.work.tasks.pause('none'), { code: 'not-found' })
  const ended = await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  await assert.rejects(world.work.tasks.pause(ended.id), { code: 'invalid', message: /has ended/ })
  const waiting = await world.work.disks.importImage(admin, 'web', { format: 'raw', contentBytes: 512 })
  await world.until(async () => (await world.work.tasks.show(waiting.id)).step === 'waiting-for-content')
  await assert.rejects(world.work.tasks.pause(waiting.id), { code: 'invalid', message: /host host-a: .*moves no data/ })
  await world.work.tasks.cancel(waiting.id)
  await world.ended(waiting)
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  world.hostA.onAddKey = async () => {
    asked.resolve()
    await gate.promise
  }
  await world.plainVm('other')
  const preparing = await world.work.changePolicy(admin, 'other', { policy: encryptionPolicy })
  await asked.promise
  await assert.rejects(world.work.tasks.pause(preparing.id), { code: 'invalid', message: /moves no data now/ })
  gate.resolve()
  assert.equal((await world.ended(preparing)).state, 'success')
})

test('pace and thinness reach the agent; the policy decides where the request says nothing', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const asked: OperationRequest[] = []
  world.hostA.onStart = (request) => void asked.push(request)
  const change = async (request: Parameters<typeof world.work.changePolicy>[2]) => {
    const task = await world.ended(await world.work.changePolicy(admin, 'web', request))
    assert.equal(task.state, 'success', task.error?.message)
    const last = asked.at(-1)
    assert.ok(last?.kind === 'encrypt' || last?.kind === 'decrypt')
    return last
  }
  const slow = { verify: false, bytesPerSecondMax: 1_000_000 }
  const one = await change({ home: encryptionPolicy, disks: [{ number: 0, policy: encryptionPolicy }], ...slow })
  assert.deepEqual([one.verify, one.bytesPerSecondMax], [false, 1_000_000])
  assert.ok(!one.disks.some((disk) => 'thin' in disk))
  const two = await change({ disks: [{ number: 1, policy: encryptionPolicy }], thin: true })
  assert.ok(!('verify' in two))
  assert.deepEqual(
    two.disks.map((disk) => 'thin' in disk && disk.thin),
    [true],
  )
  assert.equal((await world.work.disks.list('web'))[1]?.format, 'qcow2')
  await change({ policy: plainPolicy, ...slow })
  await world.process.database.updateTable('policy').set({ thin: 1 }).where('name', '=', encryptionPolicy).execute()
  const request = { home: encryptionPolicy, disks: [{ number: 0, policy: encryptionPolicy }] }
  // What a policy says is not up to whoever asks.
  await assert.rejects(world.work.changePolicy(admin, 'web', { ...request, thin: false }), { field: 'thin' })
  await change(request)
  const four = await change({ disks: [{ number: 1, policy: encryptionPolicy }] })
  assert.deepEqual(
    four.disks.map((disk) => 'thin' in disk && disk.thin),
    [true],
  )
  await assert.rejects(world.work.changePolicy(admin, 'web', { policy: plainPolicy, thin: true }), { field: 'thin' })
  await assertWhole(world)
})
