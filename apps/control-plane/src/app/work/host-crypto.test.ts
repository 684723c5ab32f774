import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, type Task } from '@cryptvisor/control-plane-api'
import { prepareEncrypted } from './testing/flow.ts'
import { assertWhole } from './testing/invariants.ts'
import { admin, userWithout, World } from './testing/world.ts'

type Begin = Parameters<World['work']['forHosts']>[0]

const endOf = async (world: World, begin: Begin): Promise<Task> => world.ended(await world.work.forHosts(begin))

async function succeeds(world: World, begin: Begin): Promise<void> {
  const { state, error } = await endOf(world, begin)
  assert.equal(state, 'success', error?.message)
}

const hostB = (world: World) => world.process.host(world.hostB)

async function encryptedWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  await prepareEncrypted(world)
  return world
}

const mayNotRegister = userWithout('Cryptographer.RegisterHost')

test('without RegisterHost a task leaves a host that is not crypto-safe as it is, also when it comes again; with it all get the key', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await assert.rejects(
    world.work.changePolicy(mayNotRegister, 'web', { policy: encryptionPolicy }),
    { code: 'no-privilege', message: /RegisterHost/ },
    'the VM’s own host has to be crypto-safe',
  )
  await succeeds(world, (hosts) => hosts.enable(admin, 'host-a', {}))
  const task = await world.ended(await world.work.changePolicy(mayNotRegister, 'web', { policy: encryptionPolicy }))
  assert.equal(task.state, 'success')
  for (const reconnected of [false, true]) {
    if (reconnected) {
      await world.disconnect(world.hostB)
      world.hostB.restart()
      await world.connect(world.hostB)
    }
    assert.equal((await hostB(world)).host_key_id, null)
    assert.deepEqual([...world.hostB.keys.keys()], [])
  }
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.notEqual((await hostB(world)).host_key_id, null)
  const vm = await world.work.showVm('web')
  assert.ok(world.hostB.keys.has(`vault/${vm.home.key?.keyId}`))
  await assertWhole(world)
})

test('a host that was away when somebody with RegisterHost encrypted becomes crypto-safe when it comes', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.disconnect(world.hostB)
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  await world.reboot()
  await world.until(async () => (await hostB(world)).host_key_id !== null)
  await world.until(() => world.hostB.keys.size === 2)
  await assertWhole(world)
})

test('force-enable makes every host crypto-safe, those that come later too', async (context) => {
  const world = await World.start(context)
  await world.disconnect(world.hostB)
  await world.work.hosts.setCryptoMode(admin, 'lab', 'force-enable')
  await world.until(async () => (await world.process.host(world.hostA)).host_key_id !== null)
  assert.equal((await hostB(world)).host_key_id, null)
  await world.connect(world.hostB)
  assert.notEqual((await hostB(world)).host_key_id, null)
  assert.equal((await world.eventsOf('cluster.crypto-mode-changed')).length, 1)
})

test('enabling takes a key that an operator names, unless it is a VM’s; on a safe host it is a rekey', async (context) => {
  const world = await encryptedWorld(context)
  const own = await world.kms.provider(world.process.faults).createKey()
  await succeeds(world, (hosts) => hosts.enable(admin, 'host-b', { keyId: own }))
  assert.equal((await hostB(world)).host_key_id, own)
  assert.equal(world.hostB.hostKey, `vault/${own}`)
  assert.equal(world.kms.keys.get(own)?.labels['x-Component'], 'ESXi Server')
  assert.equal((await world.eventsOf('host.crypto.host-key-changed')).length, 1)
  const refused = await endOf(world, (hosts) => hosts.rekey(admin, 'host-b', { keyId: 'key-3' }))
  assert.equal(refused.error?.code, 'in-use')
  assert.match(refused.error.message, /belongs to VM web/)
  assert.equal((await hostB(world)).host_key_id, own)
  await assertWhole(world)
})

test('a host key that was named and does not work is not destroyed', async (context) => {
  const world = await encryptedWorld(context)
  const own = await world.kms.provider(world.process.faults).createKey()
  world.hostB.onAddKey = async () => {
    throw new Error('no')
  }
  const task = await endOf(world, (hosts) => hosts.rekey(admin, 'host-b', { keyId: own }))
  assert.equal(task.state, 'error')
  assert.equal(world.kms.keys.get(own)?.state, 'Active')
  const rows = await world.process.database.selectFrom('key').selectAll().where('key_id', '=', own).execute()
  assert.deepEqual(rows, [])
  assert.equal((await hostB(world)).host_key_id, 'key-2')
})

test('a host rekey keeps the old key until the new one is confirmed, and for core dumps afterwards', async (context) => {
  const world = await encryptedWorld(context)
  world.kms.down = true
  const failed = await endOf(world, (hosts) => hosts.rekey(admin, 'host-b', {}))
  assert.equal(failed.error?.code, 'kms-unreachable')
  assert.equal(world.hostB.hostKey, 'vault/key-2')
  assert.equal((await world.eventsOf('host.crypto.host-key-change-failed')).length, 1)
  world.kms.down = false
  await succeeds(world, (hosts) => hosts.rekey(admin, 'host-b', {}))
  const key = (await hostB(world)).host_key_id
  assert.equal(world.hostB.hostKey, `vault/${key}`)
  assert.ok(!world.hostB.keys.has('vault/key-2'))
  assert.equal(world.kms.keys.get('key-2')?.state, 'Active')
  const old = await world.process.database
    .selectFrom('key')
    .select('state')
    .where('key_id', '=', 'key-2')
    .executeTakeFirst()
  assert.equal(old?.state, 'retired')
  await assertWhole(world)
})

test('all hosts of a cluster are rekeyed; those that cannot be are named with the reason', async (context) => {
  const world = await encryptedWorld(context)
  await world.disconnect(world.hostB)
  const { tasks, skipped } = await world.work.rekeyHosts(admin, 'lab', {})
  assert.deepEqual(
    tasks.map(({ target }) => target.name),
    ['host-a'],
  )
  assert.deepEqual(skipped, [{ host: 'host-b', reason: 'is not connected: start its agent' }])
  for (const task of tasks) assert.equal((await world.ended(task)).state, 'success')
  await world.connect(world.hostB)
  await assertWhole(world)
})

test('disabling is refused while an encrypted VM is on the host; else it forgets its keys, and gets none any more', async (context) => {
  const world = await encryptedWorld(context)
  await assert.rejects(
    world.work.forHosts((hosts) => hosts.disable(admin, 'host-a')),
    { code: 'in-use', message: /web/ },
  )
  await succeeds(world, (hosts) => hosts.disable(admin, 'host-b'))
  assert.deepEqual([...world.hostB.keys.keys()], [])
  const host = await hostB(world)
  assert.deepEqual([host.host_key_id, host.crypto_off_boot_id], [null, null])
  // Neither a task of somebody who may, nor coming again, nor the cluster's mode gives it keys.
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  await world.work.hosts.setCryptoMode(admin, 'lab', 'force-enable')
  await world.disconnect(world.hostB)
  await world.connect(world.hostB)
  assert.deepEqual([...world.hostB.keys.keys()], [])
  const refused = world.work.createVm(admin, { name: 'on-b', host: 'host-b', policy: encryptionPolicy })
  await assert.rejects(refused, { code: 'host-incapable', message: /host crypto enable host-b/ })
  await succeeds(world, (hosts) => hosts.enable(admin, 'host-b', {}))
  await world.until(() => world.hostB.keys.size === 2)
  await assertWhole(world)
})

test('a host that does not confirm that it forgot its keys is pendingIncapable until its agent starts anew', async (context) => {
  const world = await encryptedWorld(context)
  await world.disconnect(world.hostB)
  await succeeds(world, (hosts) => hosts.disable(admin, 'host-b'))
  assert.equal((await hostB(world)).crypto_off_boot_id, world.hostB.bootId)
  await assert.rejects(
    world.work.forHosts((hosts) => hosts.enable(admin, 'host-b', {})),
    { code: 'host-incapable', message: /pendingIncapable/ },
  )
  // The same start that holds keys still: it is told to forget them now.
  await world.connect(world.hostB)
  assert.deepEqual([...world.hostB.keys.keys()], [])
  assert.equal((await hostB(world)).crypto_off_boot_id, null)
  assert.equal((await world.eventsOf('host.crypto.incapable')).length, 1)
  await succeeds(world, (hosts) => hosts.enable(admin, 'host-b', {}))
})

test('a host is moved: refused with VMs on it; it forgets, confirms, and gets the keys of its new cluster', async (context) => {
  const world = await encryptedWorld(context)
  await world.process.database.insertInto('cluster').values({ id: 'cluster-2', name: 'other' }).execute()
  await assert.rejects(
    world.work.forHosts((hosts) => hosts.move(admin, 'host-a', { cluster: 'other' })),
    { code: 'in-use', message: /web/ },
  )
  await succeeds(world, (hosts) => hosts.move(admin, 'host-b', { cluster: 'other' }))
  assert.deepEqual([...world.hostB.keys.keys()], [])
  assert.deepEqual(await world.work.hosts.exposed(), [])
  const [forgot] = await world.eventsOf('host.crypto.keys-forgotten')
  assert.match(forgot?.text ?? '', /host-b forgot 2 keys of cluster lab and confirmed it/)
  await succeeds(world, (hosts) => hosts.move(admin, 'host-b', { cluster: 'lab' }))
  await assertWhole(world)
})

test('a host that cannot confirm stays, unless its keys are accepted as exposed: they are listed until it forgot them', async (context) => {
  const world = await encryptedWorld(context)
  await world.process.database.insertInto('cluster').values({ id: 'cluster-2', name: 'other' }).execute()
  await world.disconnect(world.hostB)
  await assert.rejects(
    world.work.forHosts((hosts) => hosts.move(admin, 'host-b', { cluster: 'other' })),
    { code: 'host-disconnected', message: /--accept-exposure/ },
  )
  await succeeds(world, (hosts) => hosts.move(admin, 'host-b', { cluster: 'other', acceptExposure: true }))
  const exposed = await world.work.hosts.exposed('host-b')
  assert.deepEqual(
    exposed.map(({ keyId, reason, vms, inUse }) => [keyId, reason, vms, inUse]),
    [
      ['key-2', 'moved', [], false],
      ['key-3', 'moved', ['web'], true],
    ],
  )
  assert.equal((await world.eventsOf('host.crypto.key-exposed')).length, 2)
  await world.connect(world.hostB)
  assert.deepEqual([...world.hostB.keys.keys()], [])
  assert.deepEqual(await world.work.hosts.exposed(), [])
})

test('a decommissioned host forgot its keys, has no session, and is given none', async (context) => {
  const world = await encryptedWorld(context)
  const before = (await hostB(world)).certificate_serial
  await succeeds(world, (hosts) => hosts.decommission(admin, 'host-b', {}))
  assert.deepEqual([...world.hostB.keys.keys()], [])
  const host = await hostB(world)
  assert.notEqual(host.certificate_serial, before)
  assert.notEqual(host.decommissioned_at, null)
  await assert.rejects(
    world.work.forHosts((hosts) => hosts.enable(admin, 'host-b', {})),
    { code: 'host-incapable', message: /decommissioned/ },
  )
  await assert.rejects(world.work.createVm(admin, { name: 'on-b', host: 'host-b' }), { code: 'invalid' })
})

test('one task at a time has a host', async (context) => {
  const world = await encryptedWorld(context)
  let letGo = (): void => undefined
  world.hostB.onAddKey = () =>
    new Promise((resolve) => {
      letGo = resolve
    })
  const task = await world.work.forHosts((hosts) => hosts.rekey(admin, 'host-b', {}))
  await assert.rejects(
    world.work.forHosts((hosts) => hosts.disable(admin, 'host-b')),
    { code: 'in-use', message: new RegExp(task.id) },
  )
  await world.until(async () => (await world.work.tasks.show(task.id)).step === 'handing the new host key over')
  await world.until(() => {
    letGo()
    return world.hostB.keys.size === 3 || world.hostB.hostKey !== 'vault/key-2'
  })
  assert.equal((await world.ended(task)).state, 'success')
})
