import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { assertWhole } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

async function encryptedVm(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  return world
}

test('a restarted host gets its keys, each fetched once, and its VMs unlock', async (context) => {
  const world = await encryptedVm(context)
  world.kms.gets.clear()
  await world.disconnect(world.hostA)
  assert.equal((await world.work.showVm('web')).lock.state, 'unknown')
  world.hostA.restart()
  await world.connect(world.hostA)
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
  assert.deepEqual(
    [...world.kms.gets],
    [
      ['key-3', 1],
      ['key-1', 1],
    ],
  )
  assert.equal(world.hostA.hostKey, 'vault/key-1')
  const types = (await world.events()).map(({ type }) => type).slice(-2)
  assert.deepEqual(types, ['host.crypto.keys-sent', 'vm.crypto.unlocked'])
  await assertWhole(world)
})

test('a host that comes back with its keys makes no event', async (context) => {
  const world = await encryptedVm(context)
  const count = (await world.events()).length
  world.kms.gets.clear()
  await world.disconnect(world.hostA)
  await world.connect(world.hostA)
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
  assert.equal((await world.events()).length, count)
  assert.equal(world.kms.gets.size, 0)
})

test('the key server is down when a host starts: VMs are locked, told once, and unlock when it is back', async (context) => {
  const world = await encryptedVm(context)
  await world.disconnect(world.hostA)
  world.hostA.restart()
  world.kms.down = true
  await world.connect(world.hostA)
  const { lock } = await world.work.showVm('web')
  assert.equal(lock.state, 'locked')
  assert.match(lock.text ?? '', /does not hold the keys: .*vault/)
  await assert.rejects(world.work.unlockVm(admin, 'web'), { code: 'kms-unreachable' })
  const begin = world.process.faults.points.length
  const tries = () => world.process.faults.points.slice(begin).filter(({ name }) => name === 'kms getKey').length
  await world.until(() => tries() > 6)
  const errors = await world.eventsOf('kms.crypto.connection-error')
  assert.deepEqual(
    errors
      .filter(({ user }) => user === null)
      .map(({ host, vm, keyId }) => [host, vm, keyId])
      .toSorted(),
    [
      ['host-a', null, 'key-1'],
      ['host-a', 'web', 'key-3'],
    ],
    'once for each key, however often it is tried',
  )
  assert.equal((await world.eventsOf('vm.crypto.locked-kms-unreachable')).length, 1)
  world.kms.down = false
  await world.until(async () => (await world.work.showVm('web')).lock.state === 'unlocked')
  assert.equal((await world.eventsOf('vm.crypto.unlocked')).length, 1)
  await world.until(() => world.hostA.hostKey === 'vault/key-1')
  await assertWhole(world)
})

test('what a host holds and its cluster does not need it is told to forget', async (context) => {
  const world = await encryptedVm(context)
  await world.disconnect(world.hostB)
  world.hostB.keys.set('vault/key-of-yesterday', 'its fingerprint')
  await world.connect(world.hostB)
  assert.deepEqual([...world.hostB.keys.keys()], ['vault/key-2', 'vault/key-3'])
})

test('unlocking by hand fetches what the host lacks', async (context) => {
  const world = await encryptedVm(context)
  world.hostA.keys.delete('vault/key-3')
  const vm = await world.work.unlockVm(admin, 'web')
  assert.equal(vm.lock.state, 'unlocked')
  assert.ok(world.hostA.keys.has('vault/key-3'))
})

test('a VM whose files are not what the database knows is locked, and says so', async (context) => {
  const world = await encryptedVm(context)
  const stored = world.datastore.vms.get('web')
  assert.ok(stored)
  stored.authority = { ...stored.authority, generation: stored.authority.generation - 1 }
  const { lock } = await world.work.unlockVm(admin, 'web')
  assert.equal(lock.state, 'locked')
  assert.match(lock.text ?? '', /vm\.json is another one/)
  const [event] = await world.eventsOf('vm.crypto.locked-damaged')
  assert.equal(event?.user, 'ada')
})

test('the host restarts in the middle of an operation that it had committed: the task ends well', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  const stored = world.datastore.vms.get('web')
  assert.ok(stored?.journal)
  const { next } = stored.journal
  const [kek] = next.encryption?.keys ?? []
  const print = world.hostA.keys.get(`vault/${kek?.keyId}`) ?? ''
  const layers = ['', ...next.disks.map(({ layerId }) => layerId)]
  const wrappedWith = new Map(layers.map((layerId) => [layerId, print]))
  world.datastore.vms.set('web', { authority: next, wrappedWith, journal: { ...stored.journal, committed: true } })
  world.hostA.running = false
  await world.disconnect(world.hostA)
  world.hostA.restart()
  world.hostA.looks = 2
  await world.connect(world.hostA)
  assert.equal((await world.ended(task)).state, 'success')
  assert.equal((await world.work.showVm('web')).encryption, 'encrypted')
  await assertWhole(world)
})

test('an agent that claims something else than it was asked for: nothing is undone, every key is kept', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  const journal = world.datastore.vms.get('web')?.journal
  assert.ok(journal)
  journal.next.disks.splice(1)
  for (const operation of world.hostA.operations.values()) operation.looksLeft = 1
  const ended = await world.ended(task)
  assert.equal(ended.error?.code, 'agent-failed')
  assert.match(ended.error.message, /1 disks and not 2.*every key is kept/)
  const row = await world.process.database
    .selectFrom('key')
    .selectAll()
    .where('key_id', '=', 'key-3')
    .executeTakeFirst()
  assert.equal(row?.state, 'retired')
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  const vm = await world.work.showVm('web')
  assert.equal(vm.encryption, 'plain')
  assert.equal(vm.lock.state, 'locked')
})

test('hosts and providers in use are not removed', async (context) => {
  const world = await encryptedVm(context)
  const refused = world.work.removeHost(await world.process.host(world.hostA), admin)
  await assert.rejects(refused, { code: 'in-use', message: /web/ })
  assert.deepEqual(await world.eventsOf('host.removed'), [])
  await assert.rejects(world.work.checkProviderRemoval('vault'), { code: 'in-use', message: /VM web/ })
  await world.work.checkProviderRemoval('spare')
})

/** What `host-b` did not confirm to have forgotten when it was removed. */
async function exposedBy(world: World): Promise<string[]> {
  const rows = await world.process.database
    .selectFrom('exposed_key')
    .selectAll()
    .where('host_id', '=', 'host-b')
    .execute()
  assert.ok(rows.every(({ reason, host_name }) => reason === 'removed' && host_name === 'host-b'))
  return rows.map(({ provider, key_id }) => `${provider}/${key_id}`).toSorted()
}

test('a host that is removed forgets every key and confirms it', async (context) => {
  const world = await encryptedVm(context)
  const held = [...world.hostB.keys.keys()].toSorted()
  assert.ok(held.length >= 2, 'its host key and the KEK of the VM')
  world.hostB.keys.set('vault/never-given', 'its fingerprint')
  await world.work.removeHost(await world.process.host(world.hostB), admin)
  assert.deepEqual([...world.hostB.keys.keys()], ['vault/never-given'])
  assert.deepEqual(await exposedBy(world), [])
  assert.match(
    (await world.eventsOf('host.crypto.keys-forgotten'))[0]?.text ?? '',
    /host-b forgot 2 keys and confirmed/,
  )
  assert.equal((await world.eventsOf('host.removed')).length, 1)
})

test('of a host that is removed while it is away all keys that it was given are exposed', async (context) => {
  const world = await encryptedVm(context)
  const held = [...world.hostB.keys.keys()].toSorted()
  await world.disconnect(world.hostB)
  await world.work.removeHost(await world.process.host(world.hostB), admin)
  assert.deepEqual(await exposedBy(world), held)
  assert.equal((await world.eventsOf('host.crypto.key-exposed')).length, held.length)
})

test('when the control plane is killed while a host is removed, its keys are on record as exposed', async (context) => {
  const world = await encryptedVm(context)
  const held = [...world.hostB.keys.keys()].toSorted()
  const { faults } = world.process
  faults.onPoint(({ name }) => {
    if (name === 'host-b GET /v1/keys') faults.kill()
  })
  const hostB = await world.process.host(world.hostB)
  void world.work.removeHost(hostB, admin).catch(() => {})
  await world.until(() => faults.dead)
  await world.reboot()
  await world.until(async () => (await exposedBy(world)).length > 0)
  assert.deepEqual(await exposedBy(world), held)
  assert.deepEqual([...world.hostB.keys.keys()].toSorted(), held, 'nobody could ask it')
})

test('a host that is slow when it is removed loses its session all the same', async (context) => {
  const world = await encryptedVm(context, { hostLeaveMs: 1 })
  const answer = Promise.withResolvers<void>()
  world.hostB.onRemoveKey = () => answer.promise
  const removed = world.work.removeHost(await world.process.host(world.hostB), admin)
  await world.until(() => !world.process.isConnected(world.hostB))
  answer.resolve()
  await removed
  assert.equal((await world.eventsOf('host.removed')).length, 1)
})

test('a host that never had a session was given no key, so that none is exposed', async (context) => {
  const world = await encryptedVm(context)
  await world.disconnect(world.hostB)
  const hostB = await world.process.host(world.hostB)
  await world.work.removeHost({ ...hostB, last_seen_at: null }, admin)
  assert.deepEqual(await exposedBy(world), [])
})

test('a host that leaves is not brought up to date any more', async (context) => {
  const world = await encryptedVm(context)
  await world.disconnect(world.hostB)
  world.hostB.restart()
  world.kms.down = true
  await world.connect(world.hostB)
  await world.work.removeHost(await world.process.host(world.hostB), admin)
  world.kms.down = false
  const tries = () => world.process.logged.filter(({ text }) => text === 'a host is not up to date yet').length
  const before = tries()
  await world.plainVm('other')
  assert.equal(tries(), before)
  assert.equal(world.hostB.keys.size, 0)
})
