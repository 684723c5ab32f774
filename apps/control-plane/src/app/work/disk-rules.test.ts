import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy, type Task } from '@cryptvisor/control-plane-api'
import type { ControlPlaneErrorCode } from '../control-plane-error.ts'
import { admin, World } from './testing/world.ts'

/*
 * The rules for disks, as docs/policies.md lists them. Each refusal names the disk or the VM, and the rule; and leaves database,
 * datastore and key server as they were.
 */

interface Rule {
  readonly name: string
  /** The VM «web» has two disks. */
  readonly before: (world: World) => Promise<void>
  readonly act: (world: World) => Promise<unknown>
  readonly code: ControlPlaneErrorCode
  readonly message: RegExp
}

async function done(world: World, asked: Promise<Task>): Promise<void> {
  const { state, error } = await world.ended(await asked)
  assert.equal(state, 'success', error?.message)
}

const plain = (world: World) => world.plainVm()
const encrypted = async (world: World) => {
  await world.plainVm()
  await done(world, world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
}
/** Disk 1 was detached: a plain one, or an encrypted one. */
const detached = (prepare: (world: World) => Promise<void>) => async (world: World) => {
  await prepare(world)
  await done(world, world.work.disks.detach(admin, 'web', 1, {}))
}
const layerOf = async (world: World) => (await world.work.disks.listDetached(admin))[0]?.layer ?? ''

const rules: readonly Rule[] = [
  {
    name: 'an encrypted disk is not added to a plain VM',
    before: plain,
    act: (world) => world.work.disks.add(admin, 'web', { sizeBytes: 512, policy: encryptionPolicy }),
    code: 'encryption-order',
    message: /^policy: VM web is plain, so it cannot have an encrypted disk: encrypt VM Home first/,
  },
  {
    name: 'an encrypted disk is not imported into a plain VM',
    before: plain,
    act: (world) =>
      world.work.disks.importVolume(admin, 'web', { format: 'raw', contentBytes: 1024, policy: encryptionPolicy }),
    code: 'encryption-order',
    message: /VM web is plain, so it cannot have an encrypted disk/,
  },
  {
    name: 'a disk of a plain VM is not encrypted by itself',
    before: plain,
    act: (world) => world.work.changePolicy(admin, 'web', { disks: [{ number: 1, policy: encryptionPolicy }] }),
    code: 'encryption-order',
    message: /^a disk cannot be encrypted while VM Home is plain, and disk 1 would be/,
  },
  {
    name: 'an encrypted disk is not attached to a plain VM',
    before: async (world) => {
      await detached(encrypted)(world)
      await done(world, world.work.changePolicy(admin, 'web', { policy: plainPolicy }))
    },
    act: async (world) =>
      world.work.disks.attach(admin, 'web', { layer: await layerOf(world), policy: encryptionPolicy }),
    code: 'encryption-order',
    message: /VM web is plain, so it cannot have an encrypted disk/,
  },
  {
    name: 'VM Home is not decrypted while a disk is encrypted',
    before: encrypted,
    act: (world) => world.work.changePolicy(admin, 'web', { home: plainPolicy }),
    code: 'encryption-order',
    message: /^VM Home cannot be decrypted while a disk is encrypted, and disk 0, disk 1 would be/,
  },
  {
    name: 'an encrypted disk is attached with a policy that encrypts only',
    before: detached(encrypted),
    act: async (world) => world.work.disks.attach(admin, 'web', { layer: await layerOf(world), policy: plainPolicy }),
    code: 'invalid',
    message: /^policy: detached disk \S+ is encrypted, so it is attached with a storage policy that encrypts/,
  },
  {
    name: 'a plain disk is attached with a policy that does not encrypt only',
    before: async (world) => {
      await detached(plain)(world)
      await done(world, world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
    },
    act: async (world) =>
      world.work.disks.attach(admin, 'web', { layer: await layerOf(world), policy: encryptionPolicy }),
    code: 'invalid',
    message: /^policy: detached disk \S+ is plain, so it is attached with a storage policy that does not encrypt/,
  },
  {
    name: 'a disk is not attached twice',
    before: detached(encrypted),
    act: async (world) => {
      const layer = await layerOf(world)
      await done(world, world.work.disks.attach(admin, 'web', { layer }))
      // What is looked at below is that which comes after.
      return world.work.disks.attach(admin, 'web', { layer })
    },
    code: 'not-found',
    message: /^layer: there is no detached disk/,
  },
  {
    name: 'a disk of another datastore is not attached',
    before: async (world) => {
      await detached(encrypted)(world)
      const other = { id: 'datastore-2', name: 'far', cluster_id: 'cluster-1', path: '/srv/far' }
      await world.process.database.insertInto('datastore').values(other).execute()
      await world.process.database.updateTable('detached_disk').set({ datastore_id: other.id }).execute()
    },
    act: async (world) => world.work.disks.attach(admin, 'web', { layer: await layerOf(world) }),
    code: 'invalid',
    message: /^layer: detached disk \S+ lies on another datastore than VM web, which is on store/,
  },
  {
    name: 'a disk that is not there is not detached',
    before: plain,
    act: (world) => world.work.disks.detach(admin, 'web', 7, {}),
    code: 'not-found',
    message: /^VM web has no disk 7/,
  },
  {
    name: 'a request for one key does not name policies of two providers',
    before: async (world) => {
      await world.addPolicy('A', { encryption: 1, key_provider: 'vault' })
      await world.addPolicy('B', { encryption: 1, key_provider: 'spare' })
      await world.plainVm()
    },
    act: (world) => world.work.changePolicy(admin, 'web', { home: 'A', disks: [{ number: 0, policy: 'B' }] }),
    code: 'invalid',
    message: /^disks: one request makes one key, and «A» says provider vault where «B» says spare/,
  },
  {
    name: 'a request does not name another provider than the policy',
    before: async (world) => {
      await world.addPolicy('A', { encryption: 1, key_provider: 'vault' })
      await world.plainVm()
    },
    act: (world) => world.work.changePolicy(admin, 'web', { policy: 'A', keyProvider: 'spare' }),
    code: 'invalid',
    message: /^keyProvider: storage policy «A» says vault, not spare/,
  },
  {
    name: 'nobody does without the reading back that a policy asks for',
    before: async (world) => {
      await world.addPolicy('A', { encryption: 1, verify: 1 })
      await world.plainVm()
    },
    act: (world) => world.work.changePolicy(admin, 'web', { policy: 'A', verify: false }),
    code: 'invalid',
    message: /^verify: storage policy «A» says that all that is written is read back/,
  },
  {
    name: 'a raw disk is not added under a policy that says thin',
    before: async (world) => {
      await world.addPolicy('A', { encryption: 1, thin: 1 })
      await encrypted(world)
    },
    act: (world) => world.work.disks.add(admin, 'web', { sizeBytes: 512, policy: 'A', format: 'raw' }),
    code: 'invalid',
    message: /^format: storage policy «A» says that disks are thin, and a raw one is not/,
  },
  {
    name: 'encrypting and relabelling go apart',
    before: async (world) => {
      await world.addPolicy('A', { encryption: 1 })
      await world.plainVm()
      await done(world, world.work.changePolicy(admin, 'web', { home: encryptionPolicy }))
    },
    act: (world) => world.work.changePolicy(admin, 'web', { policy: 'A' }),
    code: 'invalid',
    message: /this one would encrypt disk 0, disk 1, and VM Home \(encrypted already\) would get another policy/,
  },
]

/** Everything that a refusal has to leave as it was. */
async function stateOf(world: World): Promise<unknown> {
  const { database } = world.process
  const [vms, disks, layers, keys, tasks] = await Promise.all([
    database.selectFrom('vm').selectAll().orderBy('id').execute(),
    database.selectFrom('disk').selectAll().orderBy('id').execute(),
    database.selectFrom('detached_disk').selectAll().orderBy('layer_id').execute(),
    database.selectFrom('key').selectAll().orderBy('key_id').execute(),
    database.selectFrom('task').select(['id', 'state']).orderBy('id').execute(),
  ])
  const atKms = [world.kms, world.otherKms].map((kms) => [...kms.keys].map(([id, { state }]) => [id, state]))
  return structuredClone({ vms, disks, layers, keys, tasks, atKms, stored: [...world.datastore.vms] })
}

for (const { name, before, act, code, message } of rules) {
  test(`${name}, and all is as it was`, async (context) => {
    const world = await World.start(context)
    await before(world)
    if (name === 'a disk is not attached twice') {
      await assert.rejects(act(world), { code, message })
      return
    }
    const state = await stateOf(world)
    await assert.rejects(act(world), { name: 'ControlPlaneError', code, message })
    assert.deepEqual(await stateOf(world), state)
  })
}

test('a disk without encryption on an encrypted VM is allowed, and stays plain', async (context) => {
  const world = await World.start(context)
  await encrypted(world)
  await done(world, world.work.disks.add(admin, 'web', { sizeBytes: 512, policy: plainPolicy }))
  const vm = await world.work.showVm('web')
  assert.deepEqual([vm.encryption, vm.disks[2]?.encrypted, vm.disks[2]?.policy], ['partial', false, plainPolicy])
  const [compliance] = await world.work.compliance(admin, { vm: 'web' })
  assert.equal(compliance?.state, 'compliant')
})

test('VM Home and its disks are decrypted together, or the disks first', async (context) => {
  const world = await World.start(context)
  await encrypted(world)
  const disks = [0, 1].map((number) => ({ number, policy: plainPolicy }))
  await done(world, world.work.changePolicy(admin, 'web', { disks }))
  await done(world, world.work.changePolicy(admin, 'web', { home: plainPolicy }))
  assert.equal((await world.work.showVm('web')).encryption, 'plain')
})

test('a detached disk loses its policy, keeps its key in use, and comes back as it was, to another VM too', async (context) => {
  const world = await World.start(context)
  await world.addPolicy('Gold', { encryption: 1 })
  await encrypted(world)
  const [, disk] = await world.work.disks.list('web')
  await done(world, world.work.disks.detach(admin, 'web', 1, {}))
  const [layer] = await world.work.disks.listDetached(admin)
  assert.deepEqual([layer?.layer, layer?.key, layer?.vm, layer?.number], [disk?.layerId, disk?.key, 'web', 1])
  await done(world, world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  await done(world, world.work.deleteVm(admin, 'web'))
  const held = `${disk?.key?.provider}/${disk?.key?.keyId}`
  assert.ok(
    world.agents.every((agent) => agent.keys.has(held)),
    'the hosts keep its KEK when the VM is gone',
  )
  assert.equal(world.kms.keys.get(disk?.key?.keyId ?? '')?.state, 'Active')
  await world.plainVm('db')
  await done(world, world.work.changePolicy(admin, 'db', { policy: encryptionPolicy }))
  await done(world, world.work.disks.attach(admin, 'db', { layer: disk?.layerId ?? '', policy: 'Gold' }))
  const attached = (await world.work.disks.list('db')).find(({ layerId }) => layerId === disk?.layerId)
  assert.deepEqual([attached?.number, attached?.policy, attached?.key], [2, 'Gold', disk?.key])
  assert.deepEqual(await world.work.disks.listDetached(admin), [])
})

test('a detached disk that is removed leaves its key to nobody', async (context) => {
  const world = await World.start(context)
  await encrypted(world)
  const [, disk] = await world.work.disks.list('web')
  await done(world, world.work.disks.detach(admin, 'web', 1, {}))
  await done(world, world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  await done(world, world.work.disks.removeDetached(admin, disk?.layerId ?? ''))
  assert.ok(world.datastore.removedLayers.has(disk?.layerId ?? ''))
  const held = `${disk?.key?.provider}/${disk?.key?.keyId}`
  assert.ok(world.agents.every((agent) => !agent.keys.has(held)))
  const row = await world.process.database
    .selectFrom('key')
    .select('state')
    .where('key_id', '=', disk?.key?.keyId ?? '')
    .executeTakeFirst()
  assert.equal(row?.state, 'retired')
})

test('a new VM does not get the folder in which a detached disk lies', async (context) => {
  const world = await World.start(context)
  await encrypted(world)
  await done(world, world.work.disks.detach(admin, 'web', 1, {}))
  await done(world, world.work.deleteVm(admin, 'web'))
  await world.plainVm()
  const row = await world.process.database.selectFrom('vm').select(['id', 'folder']).executeTakeFirstOrThrow()
  assert.equal(row.folder, row.id)
})

for (const state of ['Deactivated', 'Destroyed'] as const) {
  test(`nothing new is encrypted under a key that is ${state} at its provider`, async (context) => {
    const world = await World.start(context)
    await encrypted(world)
    const key = world.kms.keys.get((await world.work.showVm('web')).home.key?.keyId ?? '')
    assert.ok(key !== undefined)
    key.state = state
    const partsOf = async () => {
      const { compliance: _, ...vm } = await world.work.showVm('web')
      return vm
    }
    const before = await partsOf()
    const task = await world.ended(await world.work.disks.add(admin, 'web', { sizeBytes: 512 }))
    assert.equal(task.state, 'error')
    assert.match(task.error?.message ?? '', /nothing new is encrypted under it.*vm rekey/)
    assert.deepEqual(await partsOf(), before)
    const { compliance } = await world.work.showVm('web')
    assert.match(compliance?.reasons[0] ?? '', /^VM Home: its key \S+ of provider vault is/)
  })
}

test('a disk of a policy with another provider gets a KEK of its own', async (context) => {
  const world = await World.start(context)
  await world.addPolicy('Spare', { encryption: 1, key_provider: 'spare' })
  await encrypted(world)
  await done(world, world.work.disks.add(admin, 'web', { sizeBytes: 512, policy: 'Spare' }))
  const vm = await world.work.showVm('web')
  assert.deepEqual([vm.home.key?.provider, vm.disks[2]?.key?.provider], ['vault', 'spare'])
})
