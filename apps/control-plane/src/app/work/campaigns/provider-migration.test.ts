import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { isSettled } from '../testing/invariants.ts'
import { admin, World } from '../testing/world.ts'

async function encryptedWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  for (const name of ['a', 'b']) {
    await world.plainVm(name)
    await world.ended(await world.work.changePolicy(admin, name, { policy: encryptionPolicy }))
  }
  return world
}

const kindsOf = async (world: World, provider: string) =>
  (await world.work.providerReferences(provider)).map(({ kind, name }) => `${kind} ${name}`)

test('everything is moved, and nothing needs the old provider any more', async (context) => {
  const world = await encryptedWorld(context)
  assert.deepEqual((await kindsOf(world, 'vault')).toSorted(), [
    'default system',
    'host host-a',
    'host host-b',
    'vm a',
    'vm b',
  ])
  const task = await world.ended(await world.work.migrateProvider(admin, 'vault', { to: 'spare' }))
  assert.equal(task.error, null)
  assert.equal(task.state, 'success')
  assert.deepEqual(await kindsOf(world, 'vault'), [])
  await world.work.checkProviderRemoval('vault')
  for (const name of ['a', 'b']) assert.equal((await world.work.showVm(name)).home.key?.provider, 'spare')
  const hosts = await world.process.database.selectFrom('host').select('host_key_provider').execute()
  assert.deepEqual(
    hosts.map(({ host_key_provider }) => host_key_provider),
    ['spare', 'spare'],
  )
  assert.equal((await world.eventsOf('key-provider.migrated')).length, 1)
})

test('it works while the old provider is away, since the hosts hold its keys', async (context) => {
  const world = await encryptedWorld(context)
  world.kms.down = true
  const task = await world.ended(await world.work.migrateProvider(admin, 'vault', { to: 'spare' }))
  assert.equal(task.error, null)
  assert.deepEqual(await kindsOf(world, 'vault'), [])
})

test('a new provider that does not work is found out before anything is moved', async (context) => {
  const world = await encryptedWorld(context)
  const before = await kindsOf(world, 'vault')
  world.otherKms.down = true
  const task = await world.ended(await world.work.migrateProvider(admin, 'vault', { to: 'spare' }))
  assert.equal(task.error?.code, 'kms-unreachable')
  assert.deepEqual(await kindsOf(world, 'vault'), before)
  await assert.rejects(world.work.migrateProvider(admin, 'vault', { to: 'vault' }), /there already/)
  await assert.rejects(world.work.migrateProvider(admin, 'nowhere', { to: 'spare' }), /no key provider nowhere/)
})

test('what cannot be moved is named, and running it again moves the rest', async (context) => {
  const world = await encryptedWorld(context)
  await world.disconnect(world.hostB)
  const task = await world.ended(await world.work.migrateProvider(admin, 'vault', { to: 'spare' }))
  assert.equal(task.state, 'error')
  assert.match(task.error?.message ?? '', /host-b: .*not connected/)
  assert.deepEqual(await kindsOf(world, 'vault'), ['host host-b'])
  await world.connect(world.hostB)
  const again = await world.ended(await world.work.migrateProvider(admin, 'vault', { to: 'spare' }))
  assert.equal(again.error, null)
  assert.deepEqual(await kindsOf(world, 'vault'), [])
})

test('the control plane is killed at many points of a migration, and it comes to its end', async (context) => {
  const ready = await encryptedWorld(context)
  await ready.stop()
  const first = await ready.fork(context)
  const begin = first.process.faults.points.length
  await first.ended(await first.work.migrateProvider(admin, 'vault', { to: 'spare' }))
  const points = first.process.faults.points.slice(begin)
  await first.stop()
  const matters = ({ name }: { name: string }) => name !== 'db SelectQueryNode' && !name.includes('GET /v1')
  const stride = process.env['CRYPTVISOR_TEST_LONG'] === '1' ? 1 : 9
  const chosen = [...points.keys()].filter((index) => {
    const point = points[index]
    return point !== undefined && matters(point) && index % stride === 0
  })
  assert.ok(chosen.length > 3)
  for (const index of chosen) {
    const world = await ready.fork(context)
    const { faults } = world.process
    const from = faults.points.length
    faults.onPoint((_point, at) => {
      if (at - from === index) faults.kill()
    })
    const asked = await world.work.migrateProvider(admin, 'vault', { to: 'spare' }).catch(() => null)
    await world.until(async () => faults.dead || (asked !== null && (await isSettled(world))))
    await world.reboot()
    await context.test(`killed at ${points[index]?.when} ${points[index]?.name} (${index})`, async () => {
      if (asked === null) return
      const task = await world.ended(asked)
      assert.equal(task.error, null)
      assert.deepEqual(await kindsOf(world, 'vault'), [])
      assert.equal((await world.eventsOf('key-provider.migrated')).length, 1)
    })
    await world.stop()
  }
})
