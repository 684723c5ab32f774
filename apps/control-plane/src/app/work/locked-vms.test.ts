import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { prepareEncrypted } from './testing/flow.ts'
import { assertWhole } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

async function encryptedWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  await prepareEncrypted(world)
  return world
}

const lockOf = async (world: World, name = 'web') => (await world.work.showVm(name)).lock

async function restartHostA(world: World): Promise<void> {
  await world.disconnect(world.hostA)
  world.hostA.restart()
  await world.connect(world.hostA)
}

test('each cause has its word and its event, since when is kept, and all of them end by themselves', async (context) => {
  const world = await encryptedWorld(context)
  const stored = world.kms.keys.get('key-3')
  const files = world.datastore.vms.get('web')
  const disk = (await world.work.disks.list('web'))[0]
  assert.ok(stored && files && disk)
  for (const [cause, event, damage, mend] of [
    [
      'kms-unreachable',
      'vm.crypto.locked-kms-unreachable',
      () => {
        world.kms.down = true
      },
      () => {
        world.kms.down = false
      },
    ],
    [
      'key-missing-in-kms',
      'vm.crypto.locked-key-missing',
      () => world.kms.keys.delete('key-3'),
      () => world.kms.keys.set('key-3', stored),
    ],
    [
      'header-damaged',
      'vm.crypto.locked-damaged',
      () => world.hostA.damaged.add(disk.id),
      () => world.hostA.damaged.delete(disk.id),
    ],
    [
      'files-missing',
      'vm.crypto.locked-damaged',
      () => world.datastore.vms.delete('web'),
      () => world.datastore.vms.set('web', files),
    ],
  ] as const) {
    const before = (await world.eventsOf(event)).length
    damage()
    await restartHostA(world)
    const lock = await lockOf(world)
    assert.deepEqual([lock.state, lock.cause], ['locked', cause])
    assert.notEqual(lock.since, null)
    assert.equal((await world.eventsOf(event)).length, before + 1)
    await world.pause()
    assert.equal((await lockOf(world)).since, lock.since, 'since when does not move with each try')
    mend()
    await world.until(async () => (await lockOf(world)).state === 'unlocked')
    const open = await lockOf(world)
    assert.deepEqual([open.cause, open.since], [null, null])
  }
  await world.disconnect(world.hostA)
  const away = await lockOf(world)
  assert.deepEqual([away.state, away.cause], ['unknown', 'host-away'])
  await world.connect(world.hostA)
  await assertWhole(world)
})

test('a VM whose cause changes while it is locked tells of the new one', async (context) => {
  const world = await encryptedWorld(context)
  const stored = world.kms.keys.get('key-3')
  assert.ok(stored)
  world.kms.down = true
  await restartHostA(world)
  world.kms.keys.delete('key-3')
  world.kms.down = false
  await world.until(async () => (await lockOf(world)).cause === 'key-missing-in-kms')
  assert.equal((await world.eventsOf('vm.crypto.locked-key-missing')).length, 1)
  world.kms.keys.set('key-3', stored)
  await world.until(async () => (await lockOf(world)).state === 'unlocked')
})

/** `count` encrypted VMs on host-a. */
async function manyVms(world: World, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `vm-${index}`)
  for (const name of names) {
    const request = { name, host: 'host-a', policy: encryptionPolicy, disks: [{ sizeBytes: 512 }] }
    assert.equal((await world.ended(await world.work.createVm(admin, request))).state, 'success')
  }
  return names
}

test('many VMs of two hosts after an outage: all unlock, each key is fetched once at a time and not again and again', async (context) => {
  const world = await World.start(context)
  await manyVms(world, 30)
  world.kms.down = true
  for (const agent of world.agents) {
    await world.disconnect(agent)
    agent.restart()
  }
  await Promise.all(world.agents.map((agent) => world.connect(agent)))
  const locked = (await world.work.listVms(admin)).filter(({ lock }) => lock.state === 'locked')
  assert.equal(locked.length, 30)
  const begin = world.process.faults.points.length
  const tries = () =>
    world.process.faults.points.slice(begin).filter(({ name, when }) => name === 'kms getKey' && when === 'before')
  await world.until(() => tries().length >= 40)
  // Both hosts try again and again: in one round at most as many keys at once as are handed over at once.
  const asked = world.process.faults.points.slice(begin).filter(({ name }) => /POST \/v1\/vms\/.*unlock/.test(name))
  assert.deepEqual(asked, [], 'no host is asked about VMs for which nothing is new')
  world.kms.gets.clear()
  world.kms.down = false
  await world.until(async () => (await world.work.listVms(admin)).every(({ lock }) => lock.state === 'unlocked'))
  await world.until(() => world.hostB.keys.size === 31)
  for (const [keyId, count] of world.kms.gets)
    assert.ok(count <= 2, `${keyId} was fetched ${count} times for two hosts`)
  await assertWhole(world)
})

test('unlocking all at once by hand fetches each key once, and says how many stay locked', async (context) => {
  const world = await World.start(context)
  const names = await manyVms(world, 6)
  await world.stop()
  const patient = await world.fork(context)
  for (const name of [...patient.hostA.keys.keys()]) if (name !== 'vault/key-1') patient.hostA.keys.delete(name)
  for (const name of names) {
    await patient.process.database
      .updateTable('vm')
      .set({ lock_state: 'locked', lock_text: 'its key is missing', lock_cause: 'key-missing-on-host' })
      .where('name', '=', name)
      .execute()
  }
  patient.kms.gets.clear()
  const [gone] = (await patient.work.listVms(admin)).map(({ home }) => home.key?.keyId)
  const stored = patient.kms.keys.get(gone ?? '')
  assert.ok(gone !== undefined && stored)
  patient.kms.keys.delete(gone)
  const task = await patient.ended(await patient.work.unlockVms(admin, { host: 'host-a' }))
  assert.equal(task.state, 'success')
  const after = await patient.work.listVms(admin)
  assert.equal(after.filter(({ lock }) => lock.state === 'unlocked').length, 5)
  assert.deepEqual(
    after.filter(({ lock }) => lock.state === 'locked').map(({ lock }) => lock.cause),
    ['key-missing-in-kms'],
  )
  assert.ok([...patient.kms.gets.values()].every((count) => count === 1))
  patient.kms.keys.set(gone, stored)
  await patient.ended(await patient.work.unlockVms(admin, {}))
  assert.ok((await patient.work.listVms(admin)).every(({ lock }) => lock.state === 'unlocked'))
})

test('a host that missed a key is caught up: it refused it, it was away, or the control plane went away in between', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.work.hosts.setCryptoMode(admin, 'lab', 'force-enable')
  await world.until(() => world.agents.every(({ hostKey }) => hostKey !== null))
  const holds = async () => {
    const { home } = await world.work.showVm('web')
    return world.hostB.keys.has(`vault/${home.key?.keyId}`)
  }
  world.hostB.onAddKey = async () => {
    throw new Error('it refuses')
  }
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  assert.equal(await holds(), false)
  world.hostB.onAddKey = async () => undefined
  await world.disconnect(world.hostB)
  await world.connect(world.hostB)
  assert.equal(await holds(), true)

  await world.disconnect(world.hostB)
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.equal(await holds(), false)
  await world.connect(world.hostB)
  assert.equal(await holds(), true)

  await world.disconnect(world.hostB)
  world.hostB.running = false
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  await world.reboot()
  assert.equal(await holds(), false)
  world.hostB.running = true
  await world.connect(world.hostB)
  assert.equal(await holds(), true)
  await assertWhole(world)
})

test('a VM on a host that takes no keys says so, and what to do; it opens when the host takes them again', async (context) => {
  const world = await encryptedWorld(context)
  world.hostA.cryptoSupported = false
  await restartHostA(world)
  await world.until(async () => (await lockOf(world)).state === 'locked')
  const lock = await lockOf(world)
  assert.equal(lock.cause, 'host-incapable')
  assert.match(lock.text ?? '', /host-a takes no keys: set «crypto» to «supported»/)
  world.hostA.cryptoSupported = true
  await restartHostA(world)
  await world.until(async () => (await lockOf(world)).state === 'unlocked')
})
