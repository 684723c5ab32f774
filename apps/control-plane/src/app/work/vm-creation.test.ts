import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { assertWhole } from './testing/invariants.ts'
import { admin, userWithout, World } from './testing/world.ts'

async function create(world: World, request: Parameters<World['work']['createVm']>[1]) {
  const task = await world.ended(await world.work.createVm(admin, request))
  assert.equal(task.error, null)
  return world.work.showVm(request.name)
}

test('a folder is named for the VM where that can be, else by its ID', async (context) => {
  const world = await World.start(context)
  assert.equal((await create(world, { name: 'web-1.test' })).path, '/srv/store/web-1.test')
  for (const name of ['web 1', 'größe', '.hidden', '-rf']) {
    const vm = await create(world, { name })
    assert.equal(vm.path, `/srv/store/${vm.id}`)
  }
  await assertWhole(world)
})

test('a VM goes to the connected host with the fewest VMs', async (context) => {
  const world = await World.start(context)
  assert.equal((await create(world, { name: 'one' })).host, 'host-a')
  assert.equal((await create(world, { name: 'two' })).host, 'host-b')
  await world.disconnect(world.hostB)
  assert.equal((await create(world, { name: 'three' })).host, 'host-a')
  assert.equal((await create(world, { name: 'four' })).host, 'host-a')
  await world.connect(world.hostB)
  assert.equal((await create(world, { name: 'five' })).host, 'host-b')
})

test('an encrypted VM goes to a host that can take keys', async (context) => {
  const world = await World.start(context)
  await world.disconnect(world.hostA)
  world.hostA.cryptoSupported = false
  await world.connect(world.hostA)
  assert.equal((await create(world, { name: 'one', policy: encryptionPolicy })).host, 'host-b')
  await assert.rejects(world.work.createVm(admin, { name: 'two', host: 'host-a', policy: encryptionPolicy }), {
    code: 'host-incapable',
  })
})

test('a VM with disks is made with one KEK for all of it', async (context) => {
  const world = await World.start(context)
  const vm = await create(world, {
    name: 'web',
    policy: encryptionPolicy,
    keyProvider: 'spare',
    disks: [{ sizeBytes: 512 }, { sizeBytes: 1024, format: 'qcow2' }],
  })
  assert.equal(vm.encryption, 'encrypted')
  assert.equal(vm.home.key?.provider, 'spare')
  assert.deepEqual(
    vm.disks.map(({ number, format, key }) => ({ number, format, key })),
    [
      { number: 0, format: 'raw', key: vm.home.key },
      { number: 1, format: 'qcow2', key: vm.home.key },
    ],
  )
  await assertWhole(world)
})

test('what cannot be made is refused before anything happens', async (context) => {
  const world = await World.start(context)
  await create(world, { name: 'web' })
  const attempt = (request: Parameters<World['work']['createVm']>[1], user = admin) =>
    world.work.createVm(user, request)
  await assert.rejects(attempt({ name: 'web' }), { code: 'already-exists', field: 'name' })
  await assert.rejects(attempt({ name: 'x', host: 'nowhere' }), { code: 'not-found', field: 'host' })
  await assert.rejects(attempt({ name: 'x', datastore: 'nowhere' }), { code: 'not-found', field: 'datastore' })
  await assert.rejects(attempt({ name: 'x', cluster: 'nowhere' }), { code: 'not-found', field: 'cluster' })
  await assert.rejects(attempt({ name: 'x', policy: 'nothing' }), { code: 'not-found', field: 'policy' })
  await assert.rejects(attempt({ name: 'x', keyProvider: 'vault' }), { code: 'invalid', field: 'keyProvider' })
  await assert.rejects(attempt({ name: 'x', disks: [{ sizeBytes: 513 }] }), {
    code: 'invalid',
    field: 'disks.0.sizeBytes',
  })
  const encrypted = { name: 'x', policy: encryptionPolicy }
  await assert.rejects(attempt(encrypted, userWithout('Cryptographer.EncryptNew')), { code: 'no-privilege' })
  await assert.rejects(attempt(encrypted, userWithout('Cryptographer.RegisterHost')), { code: 'host-disconnected' })
  await world.process.database.insertInto('cluster').values({ id: 'cluster-2', name: 'other' }).execute()
  await assert.rejects(attempt({ name: 'x' }), { code: 'invalid', message: /lab, other/ })
  await assert.rejects(attempt({ name: 'x', cluster: 'other', host: 'host-a' }), { code: 'invalid', field: 'host' })
  await assert.rejects(attempt({ name: 'x', cluster: 'other' }), { code: 'host-disconnected' })
  assert.equal(world.kms.keys.size, 0)
  assert.equal((await world.work.listVms(admin)).length, 1)
})

test('two VMs of one name at once: one is made', async (context) => {
  const world = await World.start(context)
  const results = await Promise.allSettled([
    world.work.createVm(admin, { name: 'web' }),
    world.work.createVm(admin, { name: 'web' }),
  ])
  const [made] = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 1)
  assert.ok(made)
  assert.equal((await world.ended(made)).state, 'success')
  await assertWhole(world)
})

test('a disk that cannot be made takes the VM with it', async (context) => {
  const world = await World.start(context)
  const request = { name: 'web', host: 'host-a', policy: encryptionPolicy, disks: [{ sizeBytes: 512 }] }
  world.hostA.onStart = ({ kind }) => {
    world.hostA.failWith = kind === 'add-disk' ? { code: 'no-space', message: 'full' } : null
  }
  const task = await world.ended(await world.work.createVm(admin, request))
  assert.equal(task.error?.code, 'agent-failed')
  assert.deepEqual(await world.work.listVms(admin), [])
  assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
  await assertWhole(world)
})

test('a half made VM that cannot be removed stays, with its KEK, and the task says so', async (context) => {
  const world = await World.start(context)
  const request = { name: 'web', host: 'host-a', policy: encryptionPolicy, disks: [{ sizeBytes: 512 }] }
  world.hostA.onStart = ({ kind }) => {
    world.hostA.failWith = kind === 'create-vm' ? null : { code: 'io', message: 'the disk is broken' }
  }
  const task = await world.ended(await world.work.createVm(admin, request))
  assert.match(task.error?.message ?? '', /is there without all of its disks.*Delete it/)
  world.hostA.onStart = () => {
    world.hostA.failWith = null
  }
  const vm = await world.work.showVm('web')
  assert.equal(vm.encryption, 'encrypted')
  assert.deepEqual(vm.disks, [])
  await assertWhole(world)
  assert.equal((await world.ended(await world.work.deleteVm(admin, 'web'))).state, 'success')
  await assertWhole(world)
})
