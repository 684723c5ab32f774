import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { keyUsers } from './keys/usage/key-usage.ts'
import { assertWhole, isSettled } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

const dayMs = 86_400_000

/** A VM under the wrapping key. */
async function encryptedVm(world: World, name: string): Promise<void> {
  await world.plainVm(name)
  const task = await world.ended(await world.work.changePolicy(admin, name, { policy: encryptionPolicy }))
  assert.equal(task.state, 'success', task.error?.message)
}

async function wrappedWorld(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args)
  await world.wrapKeys()
  return world
}

const keyOf = async (world: World, vm: string) => (await world.work.showVm(vm)).home.key?.keyId
const stateOf = async (world: World, keyId: string) =>
  (
    await world.process.database
      .selectFrom('key')
      .select('state')
      .where('provider', '=', 'vault')
      .where('key_id', '=', keyId)
      .executeTakeFirst()
  )?.state

/** Does something to the provider's row behind the control plane's back. */
async function setDue(world: World, dueAt: number): Promise<void> {
  await world.process.database.updateTable('wrapping_key').set({ due_at: dueAt }).execute()
}

test('one wrapping key is the KEK of many VMs, labelled for its provider, and each host holds it once', async (context) => {
  const world = await wrappedWorld(context)
  for (const name of ['one', 'two', 'three']) await encryptedVm(world, name)
  const keyId = await world.wrappingKey()
  assert.ok(keyId !== null)
  for (const name of ['one', 'two', 'three']) assert.equal(await keyOf(world, name), keyId)
  assert.equal(world.kms.keys.size, 3, 'with the two host keys')
  assert.deepEqual(world.kms.keys.get(keyId)?.labels, {
    'x-Vendor': 'Cryptvisor',
    'x-Product': 'Cryptvisor',
    'x-Product_Version': '1.2.3',
    'x-Component': 'Key Provider',
    'x-Name': 'vault',
    'x-Identifier': 'vault',
  })
  for (const agent of world.agents) assert.ok(agent.keys.has(`vault/${keyId}`))
  const users = await keyUsers(world.process.database, { keys: [{ provider: 'vault', keyId }] })
  assert.deepEqual([...new Set(users.map(({ owner }) => owner.name))], ['one', 'three', 'two', 'vault'])
  const served = await world.process.database.selectFrom('vm_key').selectAll().where('key_id', '=', keyId).execute()
  assert.equal(served.length, 3, 'which VMs it ever served is on record, for crypto-erase')
  await assertWhole(world)
})

test('the key stays while another VM has it, and when nothing has it while its provider takes it', async (context) => {
  const world = await wrappedWorld(context)
  for (const name of ['one', 'two']) await encryptedVm(world, name)
  const keyId = (await world.wrappingKey()) ?? ''
  await world.ended(await world.work.changePolicy(admin, 'one', { policy: plainPolicy }))
  for (const agent of world.agents) assert.ok(agent.keys.has(`vault/${keyId}`), 'VM two has it')
  await assertWhole(world)
  await world.ended(await world.work.deleteVm(admin, 'two'))
  for (const agent of world.agents) assert.ok(!agent.keys.has(`vault/${keyId}`), 'nothing has it')
  assert.equal(await stateOf(world, keyId), 'current')
  await assertWhole(world)
  await encryptedVm(world, 'three')
  assert.equal(await keyOf(world, 'three'), keyId)
  await assertWhole(world)
})

test('a task that fails does not destroy a key that VMs share, and hosts forget what it was given for nothing', async (context) => {
  const world = await wrappedWorld(context)
  const keyId = (await world.wrappingKey()) ?? ''
  await world.plainVm('web')
  world.hostA.failWith = { code: 'no-space', message: 'the datastore is full' }
  const task = await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  assert.equal(task.state, 'error')
  assert.equal(world.kms.keys.get(keyId)?.state, 'Active')
  for (const agent of world.agents) assert.ok(!agent.keys.has(`vault/${keyId}`))
  await assertWhole(world)
  world.hostA.failWith = null
  await encryptedVm(world, 'next')
  assert.equal(await keyOf(world, 'next'), keyId)
  await assertWhole(world)
})

test('a rotation makes a new key for what comes next; VMs move by a shallow rekey, and the old one is retired then', async (context) => {
  const world = await wrappedWorld(context)
  for (const name of ['one', 'two']) await encryptedVm(world, name)
  const first = (await world.wrappingKey()) ?? ''
  const shown = await world.work.rotateWrappingKey(admin, 'vault')
  const second = (await world.wrappingKey()) ?? ''
  assert.notEqual(second, first)
  assert.equal(shown.wrapping?.keyId, second)
  assert.equal(shown.wrapping.rotationDays, 365)
  const changed = (await world.eventsOf('key-provider.wrapping-key-changed')).at(-1)
  assert.deepEqual([changed?.keyId, changed?.user], [second, 'ada'])
  assert.deepEqual([await keyOf(world, 'one'), await stateOf(world, first)], [first, 'current'])
  await encryptedVm(world, 'three')
  assert.equal(await keyOf(world, 'three'), second)

  for (const [name, state] of [
    ['one', 'current'],
    ['two', 'retired'],
  ] as const) {
    const task = await world.ended(await world.work.rekeyVm(admin, name, { depth: 'shallow' }))
    assert.equal(task.state, 'success', task.error?.message)
    assert.equal(await keyOf(world, name), second)
    assert.equal(await stateOf(world, first), state)
  }
  for (const agent of world.agents) assert.ok(!agent.keys.has(`vault/${first}`))
  assert.equal(world.kms.keys.get(first)?.state, 'Active', 'old backups may need it')
  await assertWhole(world)

  const again = await world.work.rekeyVm(admin, 'one', { depth: 'shallow' })
  assert.equal(again.state, 'success')
  assert.match(again.step, /nothing to do.*wrapping key already/)
  const deep = await world.ended(await world.work.rekeyVm(admin, 'one', { depth: 'deep' }))
  assert.equal(deep.state, 'success', deep.error?.message)
  await assertWhole(world)
})

test('when its time is over the next key is made by itself; a provider that is away keeps nobody from the old one', async (context) => {
  const world = await wrappedWorld(context)
  const first = await world.wrappingKey()
  await setDue(world, 0)
  await world.reboot()
  await world.until(async () => (await world.wrappingKey()) !== first)
  const second = await world.wrappingKey()
  const row = await world.process.database.selectFrom('wrapping_key').selectAll().executeTakeFirstOrThrow()
  assert.ok((row.due_at ?? 0) - (row.since ?? 0) === 365 * dayMs)
  assert.equal(await stateOf(world, first ?? ''), 'retired', 'nothing ever had it')

  await encryptedVm(world, 'before')
  await world.plainVm('web')
  await setDue(world, 0)
  world.kms.refusesCreate = true
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  assert.equal(await keyOf(world, 'web'), second)
  assert.equal((await world.eventsOf('kms.crypto.error')).length > 0, true, 'that the rotation is late is told')
  world.kms.refusesCreate = false
  await assertWhole(world)
})

test('the provider goes back to a key for each VM; those that share one keep it', async (context) => {
  const world = await wrappedWorld(context)
  await encryptedVm(world, 'one')
  const keyId = (await world.wrappingKey()) ?? ''
  const shown = await world.work.setKeyType(admin, 'vault', { keyType: 'raw' })
  assert.equal(shown.wrapping, null)
  await encryptedVm(world, 'two')
  assert.deepEqual([await keyOf(world, 'one'), (await keyOf(world, 'two')) === keyId], [keyId, false])
  await assertWhole(world)
  await world.ended(await world.work.rekeyVm(admin, 'one', { depth: 'shallow' }))
  assert.equal(await stateOf(world, keyId), 'retired')
  await assertWhole(world)
  await assert.rejects(world.work.rotateWrappingKey(admin, 'vault'), { code: 'invalid', message: /raw/ })
  await assert.rejects(world.work.rotateWrappingKey(admin, 'nowhere'), { code: 'not-found' })
})

test('a wrapping key that somebody chose is checked, and taken for good', async (context) => {
  const world = await World.start(context)
  await encryptedVm(world, 'raw')
  const own = (await keyOf(world, 'raw')) ?? ''
  const set = (wrappingKey: string) => world.work.setKeyType(admin, 'vault', { keyType: 'wrapped', wrappingKey })
  await assert.rejects(set('key-99'), { code: 'not-found', field: 'wrappingKey' })
  await assert.rejects(set(own), { code: 'in-use', message: /VM raw’s own/ })
  const provider = world.kms.provider(world.process.faults)
  const chosen = await provider.createKey()
  await assert.rejects(set(chosen), { code: 'invalid', message: /PreActive/ })
  await provider.activateKey(chosen)
  const shown = await set(chosen)
  assert.deepEqual([shown.wrapping?.keyId, shown.wrapping?.nextRotationAt], [chosen, null])
  await encryptedVm(world, 'next')
  assert.equal(await keyOf(world, 'next'), chosen)
  await assert.rejects(world.work.rotateWrappingKey(admin, 'vault'), { code: 'invalid', message: /chosen/ })
  await assertWhole(world)
  for (const request of [
    { keyType: 'raw', rotationDays: 30 },
    { keyType: 'raw', wrappingKey: chosen },
    { keyType: 'wrapped', rotationDays: 30, wrappingKey: chosen },
  ] as const) {
    await assert.rejects(world.work.setKeyType(admin, 'vault', request), { code: 'invalid' })
  }
})

test('a provider whose wrapping key VMs have is not removed', async (context) => {
  const world = await wrappedWorld(context)
  await world.work.checkProviderRemoval('spare')
  await encryptedVm(world, 'web')
  await assert.rejects(world.work.checkProviderRemoval('vault'), { code: 'in-use', message: /VM web/ })
})

test('a rotation is killed at every point: afterwards it is done, or was never asked for', async (context) => {
  const ready = await wrappedWorld(context)
  await encryptedVm(ready, 'web')
  const first = await ready.wrappingKey()
  await ready.stop()
  let index = 0
  for (let died = true; died; index++) {
    const world = await ready.fork(context)
    const begin = world.process.faults.points.length
    let killedAt = ''
    world.process.faults.onPoint((point, at) => {
      if (at - begin !== index) return
      killedAt = `${point.when} ${point.name}`
      world.process.faults.kill()
    })
    const asked = await world.work.rotateWrappingKey(admin, 'vault').catch(() => null)
    died = world.process.faults.dead
    await world.stop()
    await world.boot()
    await world.until(async () => {
      const row = await world.process.database.selectFrom('wrapping_key').selectAll().executeTakeFirstOrThrow()
      return (row.due_at ?? 0) > Date.now() && (await isSettled(world))
    })
    await context.test(`point ${index}: ${killedAt}`, async () => {
      if (asked !== null) assert.notEqual(await world.wrappingKey(), first)
      assert.equal(await keyOf(world, 'web'), first)
      await assertWhole(world, 1)
    })
    await world.stop()
  }
  assert.ok(index > 15, 'there were points to die at')
})
