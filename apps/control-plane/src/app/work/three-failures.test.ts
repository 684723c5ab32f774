import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Event, encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { assertWhole, isSettled } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

const encrypt = (world: World) => world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })

const named = ({ type, host, vm, provider, keyId }: Event) => ({ type, host, vm, provider, keyId })

/** DESIGN.md, section 4, and issue 2, point 6. */
const failureTypes: ReadonlySet<string> = new Set([
  'host.crypto.send-key-error',
  'kms.crypto.key-missing',
  'kms.crypto.connection-error',
])

async function failures(world: World) {
  return (await world.events()).filter(({ type }) => failureTypes.has(type)).map(named)
}

test('the key server is down: the event names provider, VM and host, and all is as it was', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.kms.down = true
  const task = await world.ended(await encrypt(world))
  assert.equal(task.state, 'error')
  assert.equal(task.error?.code, 'kms-unreachable')
  assert.match(task.error.message, /vault\.invalid:5696.*Start a key server/)
  assert.deepEqual(await failures(world), [
    { type: 'kms.crypto.connection-error', host: 'host-a', vm: 'web', provider: 'vault', keyId: null },
  ])
  assert.equal((await world.eventsOf('vm.crypto.failed')).length, 1)
  assert.equal((await world.work.showVm('web')).encryption, 'plain')
  await assertWhole(world)
})

test('a KEK that cannot be destroyed while the key server is down is destroyed when it is back', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.createVm(admin, { name: 'first', host: 'host-a', policy: encryptionPolicy }))
  world.hostA.failWith = { code: 'no-space', message: 'the datastore is full' }
  world.process.faults.onPoint(({ name, when }) => {
    if (when === 'after' && name.includes('operations')) world.kms.down = true
  })
  const task = await world.ended(await encrypt(world))
  assert.equal(task.error?.code, 'agent-failed')
  assert.match(task.error.message, /datastore is full/)
  const [left] = await world.eventsOf('kms.crypto.key-cleanup-failed')
  assert.equal(left?.keyId, 'key-4')
  assert.equal(world.kms.keys.get('key-4')?.state, 'Active')
  assert.ok(!world.hostA.keys.has('vault/key-4') && !world.hostB.keys.has('vault/key-4'))
  // Not for lack of patience alone: another process takes it up too.
  await world.reboot()
  world.kms.down = false
  await world.until(() => isSettled(world))
  assert.equal((await world.eventsOf('kms.crypto.key-cleanup-failed')).length <= 2, true)
  assert.deepEqual(
    (await world.eventsOf('kms.crypto.key-destroyed')).map(({ vm, keyId }) => [vm, keyId]),
    [['web', 'key-4']],
  )
  await assertWhole(world)
})

test('the key is missing in the key server: a restarted host’s VM stays locked, and says why', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await encrypt(world))
  const key = world.kms.keys.get('key-3')
  world.kms.keys.delete('key-3')
  await world.disconnect(world.hostA)
  world.hostA.restart()
  await world.connect(world.hostA)
  const expected = { type: 'kms.crypto.key-missing', host: 'host-a', vm: 'web', provider: 'vault', keyId: 'key-3' }
  assert.deepEqual(await failures(world), [expected])
  const { lock } = await world.work.showVm('web')
  assert.equal(lock.state, 'locked')
  assert.match(lock.text ?? '', /key-3.*Restore the key/)
  assert.deepEqual(lock.missingKeys, [{ provider: 'vault', keyId: 'key-3' }])
  await assert.rejects(world.work.unlockVm(admin, 'web'), { code: 'key-missing' })
  assert.deepEqual(await failures(world), [expected, expected], 'who asks is told, whoever tries by itself is not')
  const decryption = await world.ended(await world.work.changePolicy(admin, 'web', { policy: plainPolicy }))
  assert.equal(decryption.error?.code, 'key-missing')
  assert.equal((await failures(world)).length, 3)
  // It unlocks by itself when the key is back.
  if (key !== undefined) world.kms.keys.set('key-3', key)
  await world.until(async () => (await world.work.showVm('web')).lock.state === 'unlocked')
  assert.equal((await world.eventsOf('vm.crypto.locked-key-missing')).length, 1)
  assert.equal((await world.eventsOf('vm.crypto.unlocked')).length, 1)
  await assertWhole(world)
})

test('the VM’s own host cannot take keys: nothing begins', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.disconnect(world.hostA)
  world.hostA.cryptoSupported = false
  await world.connect(world.hostA)
  await assert.rejects(encrypt(world), { code: 'host-incapable' })
  assert.deepEqual(await failures(world), [
    { type: 'host.crypto.send-key-error', host: 'host-a', vm: 'web', provider: 'vault', keyId: null },
  ])
  assert.equal(world.kms.keys.size, 0)
  await assertWhole(world)
})

test('the VM’s own host is not connected: nothing begins', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.disconnect(world.hostA)
  await assert.rejects(encrypt(world), { code: 'host-disconnected' })
  assert.deepEqual(await failures(world), [
    { type: 'host.crypto.send-key-error', host: 'host-a', vm: 'web', provider: 'vault', keyId: null },
  ])
  assert.equal(world.kms.keys.size, 0)
})

test('the VM’s own host turns out not to take keys: the KEK is destroyed, all is as it was', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.createVm(admin, { name: 'first', host: 'host-a', policy: encryptionPolicy }))
  world.hostA.cryptoSupported = false
  const task = await world.ended(await encrypt(world))
  assert.equal(task.error?.code, 'host-incapable')
  assert.deepEqual(await failures(world), [
    { type: 'host.crypto.send-key-error', host: 'host-a', vm: 'web', provider: 'vault', keyId: 'key-4' },
  ])
  assert.equal(world.kms.keys.get('key-4')?.state, 'Destroyed')
  await assertWhole(world)
})

for (const how of ['cannot take keys', 'is not connected'] as const) {
  test(`another host ${how}: an event, the task goes on, and it is caught up when it can be`, async (context) => {
    const world = await World.start(context)
    await world.plainVm()
    await world.disconnect(world.hostB)
    world.hostB.cryptoSupported = how !== 'cannot take keys'
    if (how === 'cannot take keys') await world.connect(world.hostB)
    assert.equal((await world.ended(await encrypt(world))).state, 'success')
    assert.deepEqual(await failures(world), [
      { type: 'host.crypto.send-key-error', host: 'host-b', vm: 'web', provider: 'vault', keyId: 'key-2' },
    ])
    await world.disconnect(world.hostB)
    world.hostB.cryptoSupported = true
    await world.connect(world.hostB)
    assert.ok(world.hostB.keys.has('vault/key-2'))
    assert.equal(world.hostB.hostKey, 'vault/key-3')
    await assertWhole(world)
  })
}
