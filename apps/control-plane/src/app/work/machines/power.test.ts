import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PowerAction, privileges, type Task } from '@cryptvisor/control-plane-api'
import { RestClientError } from '@cryptvisor/rest'
import { prepareEncrypted, succeeded } from '../testing/flow.ts'
import { assertWhole } from '../testing/invariants.ts'
import { admin, userWithout, World } from '../testing/world.ts'

const power = async (world: World, name = 'web') => (await world.work.showVm(name)).power

const change = (world: World, action: PowerAction, name = 'web') =>
  world.work.machines.changePower(admin, name, { action })

async function done(world: World, action: PowerAction): Promise<Task> {
  return world.ended(await change(world, action))
}

async function runningWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  await prepareEncrypted(world)
  await world.powerOn()
  return world
}

test('a VM is started, paused, resumed, reset, shut down and powered off, and says how it is', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  assert.deepEqual(await power(world), { state: 'off', since: null, reason: null, acceleration: null, qemu: null })
  for (const [action, state, event] of [
    ['power-on', 'running', 'vm.powered-on'],
    ['pause', 'paused', 'vm.paused'],
    ['resume', 'running', 'vm.resumed'],
    ['reset', 'running', 'vm.reset'],
    ['shut-down', 'off', 'vm.guest-shutdown'],
    ['power-on', 'running', 'vm.powered-on'],
    ['power-off', 'off', 'vm.powered-off'],
  ] as const) {
    const task = await done(world, action)
    assert.deepEqual([task.state, task.error], ['success', null], action)
    await world.report(world.hostA)
    assert.equal((await power(world)).state, state, action)
    const told = (await world.events()).filter(({ task: id, type }) => id === task.id && type.startsWith('vm.'))
    assert.deepEqual(
      told.map(({ type }) => type),
      [event],
      action,
    )
    await assertWhole(world)
  }
  assert.deepEqual(world.hostA.machines.list().machines, [], 'the ends are on record, and forgotten')
  assert.equal((await world.eventsOf('vm.crashed')).length, 0)
})

test('what makes no sense in a state is refused, with the way to it', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  for (const action of ['power-off', 'shut-down', 'reset', 'pause', 'resume'] as const) {
    await assert.rejects(change(world, action), { code: 'wrong-power-state', message: /is off.*«vm power-on web»/ })
  }
  await world.powerOn()
  await assert.rejects(change(world, 'power-on'), { code: 'wrong-power-state', message: /is running on host host-a/ })
  await assert.rejects(change(world, 'resume'), { code: 'wrong-power-state', message: /is running/ })
  assert.equal((await world.work.tasks.list(admin, {})).filter(({ type }) => type === 'vm.resume').length, 0)
})

test('each action needs its own privilege on the VM', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  for (const [action, privilege] of [
    ['power-on', 'VirtualMachine.Interact.PowerOn'],
    ['resume', 'VirtualMachine.Interact.PowerOn'],
    ['power-off', 'VirtualMachine.Interact.PowerOff'],
    ['shut-down', 'VirtualMachine.Interact.PowerOff'],
    ['reset', 'VirtualMachine.Interact.Reset'],
    ['pause', 'VirtualMachine.Interact.Suspend'],
  ] as const) {
    await assert.rejects(world.work.machines.changePower(userWithout(privilege), 'web', { action }), {
      code: 'no-privilege',
      message: new RegExp(privilege),
    })
  }
})

test('no Cryptographer privilege is needed to start an encrypted VM on a crypto-safe host', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const user = userWithout(...privileges.filter((each) => each.startsWith('Cryptographer.')))
  await succeeded(world, await world.work.machines.changePower(user, 'web', { action: 'power-on' }))
  assert.equal((await power(world)).state, 'running')
})

test('with the key server down a VM starts whose host holds its key, and one whose host does not says why', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  world.kms.down = true
  assert.equal((await done(world, 'power-on')).state, 'success')
  assert.equal((await done(world, 'power-off')).state, 'success')
  world.hostA.keys.delete('vault/key-3')
  const task = await done(world, 'power-on')
  assert.equal(task.error?.code, 'kms-unreachable')
  assert.equal((await power(world)).state, 'off')
  assert.equal((await world.eventsOf('vm.power-on-failed')).length, 1)
  world.kms.down = false
  assert.equal((await done(world, 'power-on')).state, 'success', 'the key is handed over first')
})

test('a locked VM is not started, and says what it is locked for', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const [disk] = await world.work.disks.list('web')
  assert.ok(disk)
  world.hostA.damaged.add(disk.id)
  await world.disconnect(world.hostA)
  await world.connect(world.hostA)
  assert.equal((await world.work.showVm('web')).lock.state, 'locked')
  const task = await done(world, 'power-on')
  assert.equal(task.error?.code, 'vm-locked')
  assert.match(task.error?.message ?? '', /the header of disk 0 is damaged/)
  assert.deepEqual(world.hostA.machines.running, [])
})

test('a host that takes no keys starts plain VMs only', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  await world.plainVm('plain')
  await world.process.database.updateTable('host').set({ crypto_off_at: 1 }).where('id', '=', 'host-a').execute()
  await assert.rejects(change(world, 'power-on'), { code: 'host-incapable' })
  await succeeded(world, await change(world, 'power-on', 'plain'))
})

test('an agent of before says to upgrade it, and the VM stays off', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.machines.supported = false
  const task = await done(world, 'power-on')
  assert.equal(task.error?.code, 'host-incapable')
  assert.match(task.error?.message ?? '', /does not run VMs yet: upgrade it/)
  assert.equal((await power(world)).state, 'off')
})

test('what fails on the host leaves the VM off, with the reason; the next lease is higher', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const lease = async () =>
    (await world.process.database.selectFrom('machine').select('lease').executeTakeFirst())?.lease
  world.hostA.machines.failWith = { status: 500, code: 'io', message: 'QEMU says: no memory' }
  const task = await done(world, 'power-on')
  assert.match(task.error?.message ?? '', /QEMU says: no memory/)
  assert.equal((await power(world)).state, 'off')
  const before = await lease()
  world.hostA.machines.failWith = null
  await world.powerOn()
  assert.ok(((await lease()) ?? 0) > (before ?? Number.POSITIVE_INFINITY))
})

test('while a VM runs nothing is done to it that needs it off, and each refusal says how to', async (context) => {
  const world = await runningWorld(context)
  const { work } = world
  const [disk] = await work.disks.list('web')
  assert.ok(disk)
  const signal = new AbortController().signal
  for (const [what, act] of [
    ['encryption', () => work.changePolicy(admin, 'web', { policy: 'Datastore Default' })],
    ['deep rekey', () => work.rekeyVm(admin, 'web', { depth: 'deep' })],
    ['disk', () => work.disks.add(admin, 'web', { sizeBytes: 512 })],
    ['detach', () => work.disks.detach(admin, 'web', 1, {})],
    ['import', () => work.disks.importImage(admin, 'web', { format: 'raw', contentBytes: 512 })],
    ['clone', () => work.cloneVm(admin, 'web', { name: 'copy' })],
    ['delete', () => work.deleteVm(admin, 'web')],
    ['export', () => work.disks.exportImage(admin, 'web', 0, { format: 'raw' }, signal)],
    ['header', () => work.disks.backupHeader(admin, 'web', 0, signal)],
    ['erase', () => work.erasures.request('web', { confirm: 'web' }, admin)],
    ['unregister', () => work.registration.unregister(admin, 'web')],
    ['migrate', () => work.machines.migrate(admin, 'web', { host: 'host-b' })],
  ] as const) {
    await assert.rejects(
      act(),
      {
        code: 'wrong-power-state',
        message: /VM web is running on host host-a\. Power it off first.*«vm shut-down web»/,
      },
      what,
    )
  }
  assert.equal((await power(world)).state, 'running')
  await assertWhole(world)
})

test('a VM that runs gets a new KEK meanwhile, and is told of as running', async (context) => {
  const world = await runningWorld(context)
  const before = await power(world)
  await succeeded(world, await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.deepEqual(await power(world), before)
  await assertWhole(world)
  // Nobody knows whether it runs: its own host says whether it can be done.
  await world.disconnect(world.hostA)
  await assert.rejects(world.work.rekeyVm(admin, 'web', { depth: 'shallow' }), /host-a is not connected/)
})

test('a host on which VMs run is not taken away; a reboot check names them', async (context) => {
  const world = await runningWorld(context)
  const host = await world.process.host(world.hostA)
  await assert.rejects(world.work.removeHost(host, admin), { code: 'in-use', message: /runs a VM, or may \(web\)/ })
  await assert.rejects(world.work.hosts.decommission(admin, 'host-a', {}), { code: 'in-use', message: /web/ })
  const { checks } = await world.work.checkReboot({ host: 'host-a' })
  assert.deepEqual(checks[0]?.running, ['web'])
  assert.match(checks[0]?.text ?? '', /a VM that runs there would end/)
})

test('a VM goes to another host when it is off, with its keys, and runs there', async (context) => {
  const world = await runningWorld(context)
  await succeeded(world, await change(world, 'power-off'))
  await succeeded(world, await world.work.machines.migrate(admin, 'web', { host: 'host-b' }))
  assert.equal((await world.work.showVm('web')).host, 'host-b')
  await world.powerOn()
  assert.deepEqual([world.hostA.machines.running.length, world.hostB.machines.running.length], [0, 1])
  await assertWhole(world)
})

test('a VM goes to another host by who may do so on both, and to one of its cluster that takes its keys', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const blind: typeof admin = { ...admin, can: (_privilege, [object]) => object.kind !== 'host' }
  for (const [by, host] of [
    [blind, 'host-b'],
    [admin, 'host-x'],
  ] as const) {
    await assert.rejects(world.work.machines.migrate(by, 'web', { host }), {
      ...{ code: 'not-found', field: 'host', message: `there is no host ${host}` },
    })
  }
  const migrate = (by = admin, host = 'host-b') => world.work.machines.migrate(by, 'web', { host })
  await assert.rejects(migrate(userWithout('Cryptographer.Migrate')), { message: /Cryptographer\.Migrate on VM web/ })
  const notOn = (kind: string): typeof admin => ({
    ...admin,
    can: (privilege, [object]) => privilege !== 'Resource.ColdMigrate' || object.kind !== kind,
  })
  await assert.rejects(migrate(notOn('host')), {
    code: 'no-privilege',
    message: /Resource\.ColdMigrate on host host-b/,
  })
  await assert.rejects(migrate(admin, 'host-a'), { code: 'invalid', message: /is on host host-a already/ })
  const set = (change: object) =>
    world.process.database.updateTable('host').set(change).where('id', '=', 'host-b').execute()
  await set({ host_key_provider: null, host_key_id: null })
  await assert.rejects(migrate(), { code: 'host-incapable', message: /«host crypto enable host-b» first/ })
  await world.process.database.insertInto('cluster').values({ id: 'far', name: 'far' }).execute()
  await set({ cluster_id: 'far' })
  await assert.rejects(migrate(), {
    code: 'invalid',
    message: /in cluster lab, whose datastore host host-b does not see/,
  })
  assert.equal((await world.work.showVm('web')).host, 'host-a')
})

test('a host that cannot open a VM does not get it', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const [disk] = await world.work.disks.list('web')
  world.hostB.damaged.add(disk?.id ?? '')
  const task = await world.ended(await world.work.machines.migrate(admin, 'web', { host: 'host-b' }))
  assert.match(task.error?.message ?? '', /host host-b cannot open VM web: the header of disk 0 is damaged/)
  assert.equal((await world.work.showVm('web')).host, 'host-a')
  assert.equal((await world.eventsOf('vm.migration-failed')).length, 1)
})

test('a host that is gone leaves its VMs unknown until somebody says that they are off', async (context) => {
  const world = await runningWorld(context)
  await world.disconnect(world.hostA)
  const lost = await power(world)
  assert.deepEqual([lost.state, lost.reason], ['unknown', 'its host is not connected'])
  for (const act of [
    () => world.work.machines.migrate(admin, 'web', { host: 'host-b' }),
    () => change(world, 'power-on'),
    () => change(world, 'power-off'),
    () => world.work.deleteVm(admin, 'web'),
  ]) {
    await assert.rejects(act, /«vm declare-off web»|host-a is not connected/)
  }
  const declare = (confirm: string, by = admin) => world.work.machines.declareOff(by, 'web', { confirm })
  await assert.rejects(declare('wab'), { code: 'invalid', field: 'confirm' })
  await assert.rejects(declare('web', userWithout('Host.Config.Maintenance')), { code: 'no-privilege' })
  assert.equal((await declare('web')).power.state, 'off')
  assert.equal((await world.eventsOf('vm.declared-off'))[0]?.user, 'ada')
  await assert.rejects(declare('web'), { code: 'wrong-power-state' })
  await succeeded(world, await world.work.machines.migrate(admin, 'web', { host: 'host-b' }))
  // The storage of this lab has locks: as long as the old one runs, no other starts.
  assert.match((await done(world, 'power-on')).error?.message ?? '', /vm\.lock is held by host-a/)
  world.hostA.machines.loseAll()
  await world.powerOn()
  assert.equal((await power(world)).state, 'running')
})

test('nobody declares off what a connected host answers for', async (context) => {
  const world = await runningWorld(context)
  await assert.rejects(world.work.machines.declareOff(admin, 'web', { confirm: 'web' }), {
    code: 'wrong-power-state',
    message: /is connected and answers for it: «vm power-off web»/,
  })
})

test('a host that goes away while it is asked leaves it unknown, and its next report says how it is', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.machines.onChanged = () => {
    world.hostA.running = false
    throw new RestClientError('unreachable', 'the connection broke')
  }
  const task = await done(world, 'power-on')
  assert.equal(task.error?.code, 'agent-failed')
  assert.equal(world.hostA.machines.running.length, 1, 'it was started, and nobody heard of it')
  assert.equal((await power(world)).state, 'unknown')
  world.hostA.running = true
  await world.report(world.hostA)
  assert.equal((await power(world)).state, 'running')
})

test('a VM whose key is revoked is powered off when its policy says stop, and cannot be started', async (context) => {
  const world = await World.start(context)
  await world.addPolicy('Strict', { encryption: 1, on_revocation: 'stop' })
  await world.plainVm()
  await succeeded(world, await world.work.changePolicy(admin, 'web', { policy: 'Strict' }))
  await world.powerOn()
  const key = (await world.work.showVm('web')).home.key
  assert.ok(key)
  const held = world.kms.keys.get(key.keyId)
  assert.ok(held)
  held.state = 'Deactivated'
  await world.work.verifyKeys(admin, {})
  await world.until(async () => (await world.eventsOf('vm.crypto.stopped')).length === 1)
  assert.deepEqual(world.hostA.machines.running, [])
  const off = await world.eventsOf('vm.powered-off')
  assert.match(off[0]?.text ?? '', /its key key-3 of provider vault was revoked or is gone, and policy «Strict»/)
  assert.equal(off[0]?.user, 'system')
  await assert.rejects(change(world, 'power-on'), { code: 'vm-locked', message: /key revoked/ })
})

test('a VM that is to be stopped and whose host is away is powered off when it comes back', async (context) => {
  const world = await World.start(context)
  await world.addPolicy('Strict', { encryption: 1, on_revocation: 'stop-after-grace', grace_minutes: 10 })
  await world.plainVm()
  await succeeded(world, await world.work.changePolicy(admin, 'web', { policy: 'Strict' }))
  await world.powerOn()
  const key = (await world.work.showVm('web')).home.key
  const held = world.kms.keys.get(key?.keyId ?? '')
  assert.ok(held)
  held.state = 'Deactivated'
  await world.work.verifyKeys(admin, {})
  await world.until(async () => (await world.eventsOf('vm.crypto.key-revoked')).length === 1)
  assert.equal(world.hostA.machines.running.length, 1, 'the grace')
  await world.disconnect(world.hostA)
  world.pass(11 * 60_000)
  await world.until(async () => (await world.eventsOf('vm.crypto.stopped')).length === 1)
  assert.equal(world.hostA.machines.running.length, 1)
  await world.connect(world.hostA)
  await world.until(() => world.hostA.machines.running.length === 0)
  await world.until(async () => (await power(world)).state === 'off')
})
