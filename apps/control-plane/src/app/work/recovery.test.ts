import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, type Task } from '@cryptvisor/control-plane-api'
import { RestClientError } from '@cryptvisor/rest'
import { assertWhole, isSettled } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

/** A VM whose encryption is under way on host-a and does not end by itself. */
async function underWay(world: World): Promise<Task> {
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  return task
}

/** The agent is killed; nothing of what it did is left on the datastore when `traces` is false. */
async function killAgent(world: World, traces: boolean): Promise<void> {
  world.hostA.running = false
  await world.disconnect(world.hostA)
  const stored = world.datastore.vms.get('web')
  if (!traces && stored !== undefined) stored.journal = null
  world.hostA.restart()
  world.hostA.looks = 2
}

for (const traces of [true, false]) {
  test(`the agent is killed in the middle, ${traces ? 'with' : 'without'} traces: all is as it was`, async (context) => {
    const world = await World.start(context)
    const task = await underWay(world)
    await killAgent(world, traces)
    await world.until(async () => /waiting for host-a to come back/.test((await world.work.tasks.show(task.id)).step))
    await world.connect(world.hostA)
    const ended = await world.ended(task)
    assert.equal(ended.error?.code, 'agent-failed')
    assert.match(ended.error.message, traces ? /before this operation was committed/ : /before it had changed anything/)
    assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
    await assertWhole(world)
    const again = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
    assert.equal((await world.ended(again)).state, 'success')
  })
}

test('the agent is killed before it could answer: it is asked again', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.process.faults.onPoint(({ name, when }) => {
    if (name !== 'host-a PUT /v1/operations/ID' || when !== 'before') return
    world.hostA.running = false
    throw new RestClientError('unreachable', 'host-a cannot be reached')
  })
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(() => !world.hostA.running)
  world.process.faults.onPoint(() => undefined)
  await world.disconnect(world.hostA)
  world.hostA.restart()
  await world.connect(world.hostA)
  assert.equal((await world.ended(task)).state, 'success')
  await assertWhole(world)
})

test('an operation is only taken up again on a host that holds its keys', async (context) => {
  const world = await World.start(context)
  const task = await underWay(world)
  await killAgent(world, true)
  // The task hears of the session before the host is brought up to date.
  world.process.beginSession(world.hostA)
  await world.until(() => isSettled(world))
  const points = world.process.faults.points.map(({ name, when }) => `${when} ${name}`)
  const recovery = points.lastIndexOf('before host-a POST /v1/operations/ID/recover')
  const handOver = points.lastIndexOf('after host-a PUT /v1/keys/vault/KEY', recovery)
  assert.ok(points.indexOf('before host-a GET /v1/operations/ID') < handOver, 'handed over again')
  assert.equal((await world.ended(task)).error?.code, 'agent-failed')
})

test('the key server is down when the host comes back: the task waits for it, and tells once', async (context) => {
  const world = await World.start(context)
  const task = await underWay(world)
  await killAgent(world, true)
  world.kms.down = true
  world.process.beginSession(world.hostA)
  const begin = world.process.faults.points.length
  const tries = () => world.process.faults.points.slice(begin).filter(({ name }) => name === 'kms getKey').length
  await world.until(() => tries() > 4)
  const shown = await world.work.tasks.show(task.id)
  assert.equal(shown.state, 'running')
  assert.match(shown.step, /waiting for host-a: .*vault/)
  const told = await world.eventsOf('kms.crypto.connection-error')
  assert.deepEqual(
    told.map(({ host, vm, keyId }) => [host, vm, keyId]),
    [['host-a', 'web', 'key-3']],
  )
  world.kms.down = false
  assert.equal((await world.ended(task)).error?.code, 'agent-failed')
})

test('files that are neither old nor new: the task waits, and ends without undoing when it is cancelled', async (context) => {
  const world = await World.start(context)
  const task = await underWay(world)
  await killAgent(world, true)
  const stored = world.datastore.vms.get('web')
  assert.ok(stored)
  stored.authority = { ...stored.authority, generation: 77 }
  await world.connect(world.hostA)
  await world.until(async () => /vm\.json differs/.test((await world.work.tasks.show(task.id)).step))
  await world.work.tasks.cancel(task.id)
  const ended = await world.ended(task)
  assert.match(ended.error?.message ?? '', /every key is kept/)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  assert.equal((await world.work.showVm('web')).lock.state, 'locked')
})

test('a device that was rewritten in part, and cannot be gone on with: no key is given up, whatever the user does', async (context) => {
  const world = await World.start(context)
  const task = await underWay(world)
  await killAgent(world, true)
  world.hostA.refuseRecovery = { code: 'refused', message: 'the device is not what the journal says' }
  await world.connect(world.hostA)
  await world.until(async () => /not what the journal says/.test((await world.work.tasks.show(task.id)).step))
  assert.equal((await world.work.tasks.show(task.id)).state, 'running', 'it waits for somebody to look')
  await world.work.tasks.cancel(task.id)
  const ended = await world.ended(task)
  assert.match(ended.error?.message ?? '', /not what the journal says.*every key is kept/)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
})

test('a host key whose making was cut short is given up with its task', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const { faults } = world.process
  faults.onPoint(({ name, when }) => {
    if (name === 'kms activateKey' && when === 'after') faults.kill()
  })
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(() => faults.dead)
  for (const agent of world.agents) agent.running = false
  await world.reboot()
  assert.equal((await world.ended(task)).error?.code, 'host-disconnected')
  assert.equal(world.kms.keys.get('key-1')?.state, 'Destroyed')
})

test('a KEK that is given up while another host is being given it is taken away again', async (context) => {
  const world = await World.start(context)
  await world.disconnect(world.hostB)
  const task = await underWay(world)
  // host-b has its host key by then, and waits with the KEK.
  const asked = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  world.hostB.onAddKey = async (name) => {
    if (name !== 'vault/key-2') return
    asked.resolve()
    await gate.promise
  }
  const connected = world.connect(world.hostB)
  await asked.promise
  await world.work.tasks.cancel(task.id)
  await world.ended(task)
  gate.resolve()
  await connected
  await world.until(() => isSettled(world))
  assert.ok(!world.hostB.keys.has('vault/key-2'))
  await assertWhole(world)
})

test('the end of a session that was replaced changes nothing', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.connect(world.hostA)
  await world.work.hostDisconnected(await world.process.host(world.hostA))
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
})

test('a discarded KEK that turns out to be used is kept', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  await world.process.database.updateTable('key').set({ state: 'discarded' }).where('key_id', '=', 'key-3').execute()
  await world.reboot()
  await world.until(() => isSettled(world))
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  await assertWhole(world)
})
