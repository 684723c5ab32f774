import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PolicyRow } from '../../database/policy-rows.ts'
import { admin, World } from './testing/world.ts'

const minuteMs = 60_000

/** A lab with an encrypted VM whose policy has a rule for a key that is revoked. */
async function labWith(context: Parameters<typeof World.start>[0], rules: Partial<PolicyRow>): Promise<World> {
  const world = await World.start(context)
  await world.addPolicy('Strict', { encryption: 1, ...rules })
  await world.plainVm()
  const task = await world.ended(await world.work.changePolicy(admin, 'web', { policy: 'Strict' }))
  assert.equal(task.state, 'success', task.error?.message)
  return world
}

const keyOf = async (world: World) => (await world.work.showVm('web')).home.key?.keyId ?? ''

/** Somebody revokes the VM's key behind our back, and it is read back. */
async function revoke(world: World, state: 'Deactivated' | 'Destroyed' | 'Active' = 'Deactivated'): Promise<void> {
  const key = world.kms.keys.get(await keyOf(world))
  assert.ok(key !== undefined)
  key.state = state
  await readBack(world)
}

async function readBack(world: World): Promise<void> {
  const task = await world.ended(await world.work.verifyKeys(admin, {}))
  assert.equal(task.state, 'success', task.error?.message)
}

const isLocked = async (world: World) => (await world.work.showVm('web')).lock.state === 'locked'

/** Which hosts hold the VM's key. */
async function holders(world: World): Promise<string[]> {
  const name = `vault/${await keyOf(world)}`
  return world.agents.filter((agent) => agent.keys.has(name)).map((agent) => agent.name)
}

test('keep running: an event, once, and the VM goes on', async (context) => {
  const world = await labWith(context, {})
  await revoke(world)
  await readBack(world)
  const [event, ...others] = await world.eventsOf('vm.crypto.key-revoked')
  assert.deepEqual(others, [])
  assert.match(event?.text ?? '', /which VM web needs, is Deactivated: as policy «Strict» says \(keep-running\)/)
  assert.equal(await isLocked(world), false)
  assert.deepEqual(await holders(world), ['host-a', 'host-b'])
})

for (const state of ['Deactivated', 'Destroyed'] as const) {
  test(`stop: a key that is ${state} is forgotten by the hosts, and the VM is locked for good`, async (context) => {
    const world = await labWith(context, { on_revocation: 'stop' })
    const before = await holders(world)
    assert.deepEqual(before, ['host-a', 'host-b'])
    await revoke(world, state)
    assert.deepEqual(await holders(world), [])
    const { lock } = await world.work.showVm('web')
    assert.equal(lock.state, 'locked')
    assert.match(lock.text ?? '', /^key revoked: key key-\d+ of provider vault .*«Strict»/)
    assert.equal((await world.eventsOf('vm.crypto.stopped')).length, 1)

    await context.test('a restart of control plane and hosts changes nothing', async () => {
      await world.stop()
      for (const agent of world.agents) agent.restart()
      await world.boot()
      assert.equal(await isLocked(world), true)
      assert.deepEqual(await holders(world), [])
    })
    await context.test('nothing gives the hosts the key again', async () => {
      for (const act of [
        () => world.work.unlockVm(admin, 'web'),
        () => world.work.changePolicy(admin, 'web', { policy: 'Datastore Default' }),
        () => world.work.disks.add(admin, 'web', { sizeBytes: 512 }),
        () => world.work.cloneVm(admin, 'web', { name: 'copy' }),
        () => world.work.disks.exportImage(admin, 'web', 0, { format: 'raw' }, new AbortController().signal),
      ]) {
        await assert.rejects(act, { code: 'vm-locked', message: /VM web is stopped: key revoked/ })
        assert.deepEqual(await holders(world), [])
      }
    })
  })
}

test('a VM that is stopped goes on when its key is good again', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop' })
  await revoke(world)
  assert.equal(await isLocked(world), true)
  await revoke(world, 'Active')
  await world.until(async () => !(await isLocked(world)))
  assert.equal((await world.eventsOf('vm.crypto.key-restored')).length, 1)
  assert.deepEqual(await holders(world), ['host-a', 'host-b'])
})

test('a VM that is stopped goes on with another key', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop' })
  await revoke(world)
  const task = await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'deep' }))
  assert.equal(task.state, 'success', task.error?.message)
  assert.equal(await isLocked(world), false)
  assert.equal(await world.process.database.selectFrom('vm_revocation').selectAll().executeTakeFirst(), undefined)
})

test('a rekey that fails leaves a stopped VM without its key', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop' })
  await revoke(world)
  world.hostA.failWith = { code: 'io', message: 'the disk is broken' }
  const task = await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.equal(task.state, 'error')
  await world.until(async () => (await holders(world)).length === 0)
  assert.equal(await isLocked(world), true)
})

test('a policy that lets the VM go on gives it its key back', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop' })
  await revoke(world)
  await world.changePolicy('Strict', { on_revocation: 'keep-running' })
  await world.until(async () => !(await isLocked(world)))
})

test('a key that another VM needs stays with the hosts, and the VM that is stopped is locked all the same', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop' })
  await world.addPolicy('Gold', { encryption: 1 })
  assert.equal(
    (await world.ended(await world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }))).state,
    'success',
  )
  assert.equal((await world.ended(await world.work.changePolicy(admin, 'copy', { policy: 'Gold' }))).state, 'success')
  await revoke(world)
  assert.equal(await isLocked(world), true)
  assert.equal((await world.work.showVm('copy')).lock.state, 'unlocked')
  assert.deepEqual(await holders(world), ['host-a', 'host-b'])
})

test('the grace is kept over a restart, and ends with the time', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop-after-grace', grace_minutes: 60 })
  await revoke(world)
  assert.equal(await isLocked(world), false)
  const [event] = await world.eventsOf('vm.crypto.key-revoked')
  assert.match(event?.text ?? '', /the VM is stopped at .* unless the key is good again by then/)
  world.pass(59 * minuteMs)
  await world.reboot()
  await readBack(world)
  assert.equal(await isLocked(world), false)
  await world.stop()
  world.pass(2 * minuteMs)
  await world.boot()
  await world.until(() => isLocked(world))
  assert.deepEqual(await holders(world), [])
})

test('a key that is good again within the grace is no news afterwards', async (context) => {
  const world = await labWith(context, { on_revocation: 'stop-after-grace', grace_minutes: 60 })
  await revoke(world)
  await revoke(world, 'Active')
  world.pass(61 * minuteMs)
  await world.reboot()
  await readBack(world)
  assert.equal(await isLocked(world), false)
  assert.deepEqual(await world.eventsOf('vm.crypto.stopped'), [])
})
