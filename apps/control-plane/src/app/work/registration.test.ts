import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { ControlPlaneError, type ControlPlaneErrorCode } from '../control-plane-error.ts'
import { assertWhole } from './testing/invariants.ts'
import { admin, userWithout, World } from './testing/world.ts'

async function encryptedWorld(context: TestContext): Promise<World> {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  return world
}

const isRefused = (code: ControlPlaneErrorCode, text: RegExp) => (error: unknown) =>
  error instanceof ControlPlaneError && error.code === code && text.test(error.message)

/** All that a refusal must leave as it was. */
async function stateOf(world: World) {
  const { database } = world.process
  return {
    vms: await database.selectFrom('vm').selectAll().execute(),
    disks: await database.selectFrom('disk').selectAll().execute(),
    keys: await database.selectFrom('key').selectAll().execute(),
    held: [...world.hostA.keys.keys()].toSorted(),
  }
}

async function forget(world: World): Promise<void> {
  await world.work.registration.unregister(admin, 'web')
  await world.until(() => ![...world.hostA.keys.keys()].some((name) => name !== world.hostA.hostKey))
}

test('a VM is forgotten and taken in again as it was, its keys current all the while', async (context) => {
  const world = await encryptedWorld(context)
  const before = await world.work.showVm('web')
  await forget(world)
  assert.deepEqual(await world.work.listVms(admin), [])
  const { database } = world.process
  const rows = await database.selectFrom('key').selectAll().where('owner_kind', '=', 'vm').execute()
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['current'],
  )
  assert.equal(world.kms.keys.size, 3, 'no key was destroyed')
  const [folder] = await world.work.registration.browse('store')
  assert.deepEqual([folder?.folder, folder?.encrypted, folder?.registeredAs], ['web', true, null])
  const id = await world.work.registration.register(admin, {
    datastore: 'store',
    datastoreFolder: 'web',
    host: 'host-a',
  })
  assert.equal(id, before.id)
  // Its compliance is judged anew, at the next look.
  assert.deepEqual({ ...(await world.work.showVm('web')), compliance: before.compliance }, before)
  assert.deepEqual(await database.selectFrom('unregistered_vm').selectAll().execute(), [])
  assert.match((await world.eventsOf('vm.unregistered'))[0]?.text ?? '', /vm register store web/)
  assert.equal((await world.eventsOf('vm.registered')).length, 1)
  await assertWhole(world)
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
})

test('it may get another name and another host; the copy of a VM that is there, or its name or place, is refused', async (context) => {
  const world = await encryptedWorld(context)
  const { registration } = world.work
  const stored = world.datastore.vms.get('web')
  assert.ok(stored !== undefined)
  world.datastore.vms.set('copy', {
    ...stored,
    wrappedWith: new Map(stored.wrappedWith),
    authority: { ...stored.authority, folder: 'copy' },
  })
  const before = await stateOf(world)
  const request = { datastore: 'store', datastoreFolder: 'copy' }
  await assert.rejects(registration.register(admin, request), isRefused('already-exists', /copy of VM web/))
  await assert.rejects(
    registration.register(admin, { datastore: 'store', datastoreFolder: 'web' }),
    isRefused('already-exists', /lies in folder web/),
  )
  assert.deepEqual(await stateOf(world), before)
  await forget(world)
  await world.plainVm('taken')
  await assert.rejects(
    registration.register(admin, { ...request, name: 'taken' }),
    isRefused('already-exists', /a VM taken/),
  )
  await registration.register(admin, { ...request, name: 'again', host: 'host-b' })
  const vm = await world.work.showVm('again')
  assert.deepEqual([vm.host, vm.path, vm.encryption], ['host-b', '/srv/store/copy', 'encrypted'])
})

test('a provider that is not here is named with the keys that are needed, and nothing is changed', async (context) => {
  const world = await encryptedWorld(context)
  const key = (await world.work.showVm('web')).home.key
  await forget(world)
  await world.process.database.updateTable('host').set({ host_key_provider: null, host_key_id: null }).execute()
  await world.process.database.deleteFrom('key_provider').where('name', '=', 'vault').execute()
  const before = await stateOf(world)
  await assert.rejects(
    world.work.registration.register(admin, { datastore: 'store', datastoreFolder: 'web', host: 'host-a' }),
    isRefused('no-key-provider', new RegExp(`«vault» \\(for the keys ${key?.keyId}\\).*key-provider add`)),
  )
  assert.deepEqual(await stateOf(world), before)
})

test('a key that is gone, a KMS that is away, a record that does not open, an open operation: nothing is changed', async (context) => {
  const world = await encryptedWorld(context)
  const vm = await world.work.showVm('web')
  const keyId = vm.home.key?.keyId ?? ''
  await forget(world)
  const stored = world.datastore.vms.get('web')
  assert.ok(stored !== undefined)
  const register = () =>
    world.work.registration.register(admin, { datastore: 'store', datastoreFolder: 'web', host: 'host-a' })
  const before = await stateOf(world)

  world.kms.down = true
  await assert.rejects(register(), isRefused('kms-unreachable', /vault/))
  world.kms.down = false
  const key = world.kms.keys.get(keyId)
  assert.ok(key !== undefined)
  world.kms.keys.delete(keyId)
  await assert.rejects(register(), isRefused('key-missing', new RegExp(keyId)))
  world.kms.keys.set(keyId, key)
  world.hostA.damaged.add(vm.disks[0]?.id ?? '')
  await assert.rejects(register(), isRefused('vm-locked', /header of disk 0 is damaged.*Nothing was changed/))
  world.hostA.damaged.clear()
  stored.journal = { operationId: 'op-1', committed: false, next: stored.authority }
  await assert.rejects(register(), isRefused('vm-busy', /op-1/))
  stored.journal = null
  world.hostA.cryptoSupported = false
  await world.disconnect(world.hostA)
  await assert.rejects(register(), isRefused('host-disconnected', /host-a/))
  world.hostA.cryptoSupported = true
  await world.connect(world.hostA)
  assert.deepEqual(await stateOf(world), before)
  await register()
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
})

test('an encrypted VM needs Cryptographer.RegisterVM both ways; a plain one does not', async (context) => {
  const world = await encryptedWorld(context)
  await world.plainVm('plain')
  const user = userWithout('Cryptographer.RegisterVM')
  const { registration } = world.work
  await assert.rejects(registration.unregister(user, 'web'), isRefused('no-privilege', /RegisterVM/))
  await registration.unregister(user, 'plain')
  await registration.register(user, { datastore: 'store', datastoreFolder: 'plain' })
  await forget(world)
  await assert.rejects(
    registration.register(user, { datastore: 'store', datastoreFolder: 'web' }),
    isRefused('no-privilege', /RegisterVM/),
  )
})

test('what happened after a backup is shown, accepted after it was proved, and never goes back', async (context) => {
  const world = await encryptedWorld(context)
  await world.plainVm('deleted')
  await world.stop()
  const restored = await world.fork(context)
  // The datastore, hosts and key server go on; only the database is the old one.
  await world.boot()
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  await world.ended(await world.work.deleteVm(admin, 'deleted'))
  await world.plainVm('later')
  const newKey = (await world.work.showVm('web')).home.key
  await world.stop()
  await restored.stop()
  restored.datastore.vms.clear()
  restored.datastore.copy(world.datastore)
  restored.kms.copy(world.kms)
  restored.hostA.restart()
  restored.hostB.restart()
  await restored.boot()
  const { reconciliation } = restored.work

  const { vms, unregistered, unseen } = await reconciliation.report()
  assert.deepEqual(
    vms.map(({ vm, state }) => [vm, state]),
    [
      ['deleted', 'missing'],
      ['web', 'newer'],
    ],
  )
  assert.deepEqual(
    unregistered.map(({ folder }) => folder),
    ['later'],
  )
  assert.deepEqual(unseen, [])
  const compared = await reconciliation.compare('web')
  assert.ok(compared.differences.some((text) => text.includes(newKey?.keyId ?? 'none')))
  assert.deepEqual(compared.foundKeys, [newKey])
  assert.equal((await restored.work.showVm('web')).lock.state, 'locked')

  const found = compared.foundGeneration ?? 0
  const before = await stateOf(restored)
  await assert.rejects(reconciliation.accept(admin, 'web', found + 1), isRefused('invalid', /by now/))
  await assert.rejects(reconciliation.accept(admin, 'deleted', 1), isRefused('invalid', /is missing/))
  assert.deepEqual((await stateOf(restored)).vms, before.vms)
  // Somebody may order the end of a key that it needs, between the look and the acceptance.
  const order = {
    id: 'o',
    provider: 'vault',
    key_id: newKey?.keyId ?? '',
    action: 'destroy',
    state: 'scheduled',
  } as const
  const later = Date.now() + 86_400_000
  const none = { approved_by: null, approval_id: null, reason: null, impact: null, problem: null, ended_at: null }
  await restored.process.database
    .insertInto('key_order')
    .values({ ...order, ...none, cause: 'cessation-of-operation', due_at: later, user_name: 'eve', created_at: 1 })
    .execute()
  await assert.rejects(reconciliation.accept(admin, 'web', found), isRefused('in-use', /going to be destroyed/))
  await restored.process.database.deleteFrom('key_order').execute()
  await restored.process.database.deleteFrom('vm_compliance').execute()
  await reconciliation.accept(admin, 'web', found)
  const looked = await restored.process.database.selectFrom('vm_compliance').select('state').execute()
  assert.equal(looked.length, 1, 'whether it complies is looked at')
  const web = await restored.work.showVm('web')
  assert.deepEqual([web.lock.state, web.home.key], ['unlocked', newKey])
  assert.match((await restored.eventsOf('vm.reconciled'))[0]?.text ?? '', /accepted what the datastore store says/)
  await assert.rejects(reconciliation.accept(admin, 'web', found), isRefused('invalid', /only a newer one/))
  await restored.work.registration.unregister(admin, 'deleted')
  await restored.work.registration.register(admin, { datastore: 'store', datastoreFolder: 'later' })
  assert.ok((await reconciliation.report()).vms.every(({ state }) => state === 'same'))
  await assertWhole(restored)
})

test('older files that are put back are told and never taken; what became plain needs the right to decrypt', async (context) => {
  const world = await encryptedWorld(context)
  const { reconciliation } = world.work
  const stored = world.datastore.vms.get('web')
  assert.ok(stored !== undefined)
  const good = structuredClone(stored.authority)
  stored.authority = { ...good, generation: good.generation - 1 }
  const older = await reconciliation.compare('web')
  assert.equal(older.state, 'older')
  await assert.rejects(
    reconciliation.accept(admin, 'web', good.generation - 1),
    isRefused('invalid', /only a newer one/),
  )
  stored.authority = { ...good, encryption: null }
  assert.equal((await reconciliation.compare('web')).state, 'different')
  stored.authority = { ...good, vmId: 'another' }
  assert.equal((await reconciliation.compare('web')).state, 'foreign')
  stored.authority = { ...good, generation: good.generation + 1, encryption: null }
  await assert.rejects(
    reconciliation.accept(userWithout('Cryptographer.Decrypt'), 'web', good.generation + 1),
    isRefused('no-privilege', /Decrypt/),
  )
  stored.authority = good
  assert.equal((await reconciliation.compare('web')).state, 'same')
  assert.equal((await world.work.showVm('web')).encryption, 'encrypted')
})

test('while a restored control plane is on hold no key is destroyed or taken from a host', async (context) => {
  const world = await encryptedWorld(context)
  await world.process.database.updateTable('installation').set({ on_hold: 1 }).execute()
  world.hostA.failWith = { code: 'io', message: 'the disk is full of smoke' }
  await world.plainVm('other').catch(() => undefined)
  world.hostA.failWith = null
  await world.plainVm('third')
  world.hostA.failWith = { code: 'io', message: 'smoke' }
  const task = await world.ended(await world.work.changePolicy(admin, 'third', { policy: encryptionPolicy }))
  assert.equal(task.state, 'error')
  world.hostA.failWith = null
  const unused = await world.process.database.selectFrom('key').selectAll().where('state', '=', 'retired').execute()
  assert.equal(unused.length, 1, 'what would have been given up is kept')
  assert.ok(world.kms.keys.has(unused[0]?.key_id ?? ''))
  const held = world.hostA.keys.size
  await world.disconnect(world.hostA)
  await world.connect(world.hostA)
  assert.equal(world.hostA.keys.size, held)
})
