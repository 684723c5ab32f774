import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import type { OperationRequest } from '@cryptvisor/host-agent-api'
import { assertWhole } from './testing/invariants.ts'
import { admin, userWithout, World } from './testing/world.ts'

async function encryptedWorld(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  return world
}

function lastRequest(world: World): () => OperationRequest | null {
  let asked: OperationRequest | null = null
  world.hostA.onStart = (request) => {
    asked = request
  }
  return () => asked
}

test('a clone has a KEK of its own; the source is as it was', async (context) => {
  const world = await encryptedWorld(context)
  const source = await world.work.showVm('web')
  const asked = lastRequest(world)
  const started = await world.work.cloneVm(admin, 'web', { name: 'copy', verify: false })
  assert.equal(started.type, 'vm.clone')
  assert.equal(started.target.name, 'copy')
  const task = await world.ended(started)
  assert.equal(task.state, 'success', task.error?.message)
  const copy = await world.work.showVm('copy')
  const key = { provider: 'vault', keyId: 'key-4' }
  assert.deepEqual([copy.home.key, ...copy.disks.map((disk) => disk.key)], [key, key, key])
  assert.equal(copy.encryption, 'encrypted')
  assert.deepEqual(
    copy.disks.map(({ number, sizeBytes, policy }) => [number, sizeBytes, policy]),
    source.disks.map(({ number, sizeBytes, policy }) => [number, sizeBytes, policy]),
  )
  assert.ok(
    copy.disks.every(({ id, layerId }) => !source.disks.some((disk) => disk.id === id || disk.layerId === layerId)),
  )
  assert.deepEqual(await world.work.showVm('web'), source)
  const request = asked()
  assert.ok(request?.kind === 'clone-vm')
  assert.deepEqual(
    request.disks.map(({ dek }) => dek),
    ['new', 'new'],
  )
  assert.equal(request.verify, false)
  assert.match((await world.eventsOf('vm.created')).at(-1)?.text ?? '', /VM copy was made .* as a clone of VM web/)
  await assertWhole(world)
})

test('a clone with the same keys needs none; the KEK lives as long as one of the two uses it', async (context) => {
  const world = await encryptedWorld(context)
  const asked = lastRequest(world)
  await world.ended(await world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }))
  const request = asked()
  assert.ok(request?.kind === 'clone-vm')
  assert.deepEqual(
    request.disks.map(({ dek, key }) => [dek, key?.keyId]),
    [
      ['same', 'key-3'],
      ['same', 'key-3'],
    ],
  )
  assert.equal(world.kms.keys.size, 3, 'no KEK was made')
  await assertWhole(world)
  await world.ended(await world.work.deleteVm(admin, 'web'))
  await assertWhole(world)
  const { usedBy } = await world.work.showKey(admin, 'vault', 'key-3')
  assert.deepEqual(
    usedBy.map(({ name }) => name),
    ['copy'],
    'it is the clone’s now',
  )
  await world.ended(await world.work.rekeyVm(admin, 'copy', { depth: 'deep' }))
  for (const agent of world.agents) assert.ok(!agent.keys.has('vault/key-3'), 'nobody uses it any more')
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  await assertWhole(world)
})

test('a source that leaves a shared KEK by a rekey leaves it to its clone', async (context) => {
  const world = await encryptedWorld(context)
  await world.ended(await world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }))
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.ok(world.hostA.keys.has('vault/key-3') && world.hostB.keys.has('vault/key-3'))
  await assertWhole(world)
  await world.ended(await world.work.deleteVm(admin, 'copy'))
  assert.ok(!world.hostA.keys.has('vault/key-3'))
  await assertWhole(world)
})

test('a plain VM is cloned plain, and a plain disk of an encrypted one stays plain', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.cloneVm(userWithout('Cryptographer.Clone'), 'web', { name: 'copy' }))
  assert.equal((await world.work.showVm('copy')).encryption, 'plain')
  assert.equal(world.kms.keys.size, 0)
  await world.ended(
    await world.work.changePolicy(admin, 'copy', {
      home: encryptionPolicy,
      disks: [{ number: 0, policy: encryptionPolicy }],
    }),
  )
  await world.ended(await world.work.cloneVm(admin, 'copy', { name: 'third' }))
  const third = await world.work.showVm('third')
  assert.deepEqual(
    third.disks.map(({ encrypted, policy }) => [encrypted, policy]),
    [
      [true, encryptionPolicy],
      [false, plainPolicy],
    ],
  )
  await assertWhole(world)
})

test('nobody changes the source while it is cloned, and a cancelled clone leaves nothing', async (context) => {
  const world = await encryptedWorld(context)
  world.hostA.looks = 1_000_000
  const task = await world.work.cloneVm(admin, 'web', { name: 'copy' })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  for (const name of ['web', 'copy']) {
    await assert.rejects(world.work.deleteVm(admin, name), { code: 'vm-busy' })
  }
  await world.work.tasks.cancel(task.id)
  assert.equal((await world.ended(task)).state, 'cancelled')
  assert.deepEqual(
    (await world.work.listVms(admin)).map(({ name, task }) => [name, task]),
    [['web', null]],
  )
  assert.equal(world.kms.keys.get('key-4')?.state, 'Destroyed')
  await assertWhole(world)
})

test('a clone that cannot be is refused before anything happens', async (context) => {
  const world = await encryptedWorld(context)
  await world.plainVm('plain')
  const clone = (request: Partial<Parameters<typeof world.work.cloneVm>[2]>, vm = 'web') =>
    world.work.cloneVm(admin, vm, { name: 'copy', ...request })
  await assert.rejects(clone({ name: 'web' }), { code: 'already-exists', field: 'name' })
  await assert.rejects(clone({}, 'none'), { code: 'not-found' })
  await assert.rejects(clone({ host: 'none' }), { code: 'not-found', field: 'host' })
  await assert.rejects(clone({ datastore: 'none' }), { code: 'not-found', field: 'datastore' })
  await assert.rejects(clone({ keys: 'same', keyProvider: 'spare' }), { code: 'invalid', field: 'keyProvider' })
  await assert.rejects(clone({ keyProvider: 'spare' }, 'plain'), { code: 'invalid', field: 'keyProvider' })
  await assert.rejects(world.work.cloneVm(userWithout('Cryptographer.Clone'), 'web', { name: 'copy' }), {
    code: 'no-privilege',
  })
  assert.equal(world.kms.keys.size, 3)
  assert.equal((await world.work.listVms(admin)).length, 2)
})

test('a clone with the same keys makes its host crypto-safe before that gets them', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.disconnect(world.hostB)
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: plainPolicy }))
  await world.connect(world.hostB)
  const nobody = userWithout('Cryptographer.RegisterHost')
  await world.ended(await world.work.changePolicy(nobody, 'web', { policy: encryptionPolicy }))
  assert.equal((await world.process.host(world.hostB)).host_key_id, null)
  const clone = { name: 'copy', host: 'host-b', keys: 'same' as const }
  await assert.rejects(world.work.cloneVm(nobody, 'web', clone), { code: 'no-privilege' })
  const task = await world.ended(await world.work.cloneVm(admin, 'web', clone))
  assert.equal(task.state, 'success', task.error?.message)
  assert.notEqual((await world.process.host(world.hostB)).host_key_id, null)
  await assertWhole(world)
})
