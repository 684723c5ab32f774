import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MachineStatus } from '@cryptvisor/host-agent-api'
import { prepareEncrypted, succeeded } from '../testing/flow.ts'
import type { SimulatedAgent } from '../testing/simulated-agent.ts'
import { admin, World } from '../testing/world.ts'

const power = async (world: World) => (await world.work.showVm('web')).power

async function runningWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  await prepareEncrypted(world)
  await world.powerOn()
  return world
}

const idOf = async (world: World) => (await world.work.showVm('web')).id

/** A report of that agent's, as it likes. */
async function tell(world: World, agent: SimulatedAgent, ...machines: MachineStatus[]): Promise<void> {
  const { process } = world
  const connection = {
    hostId: agent.name,
    bootId: agent.bootId,
    cryptoSupported: true,
    client: agent.client(process.faults),
  }
  await process.work.machinesReported(await process.host(agent), connection, { bootId: agent.bootId, machines })
}

const statusOf = (agent: SimulatedAgent): MachineStatus => {
  const [status] = agent.machines.list().machines
  assert.ok(status)
  return status
}

const typesSince = async (world: World, after: number) =>
  (await world.events()).slice(after).map(({ type, text }) => `${type}: ${text}`)

test('a guest that shuts down is off, a QEMU that is killed has crashed, a disk that fails stops the guest', async (context) => {
  const world = await runningWorld(context)
  const id = await idOf(world)
  const { machines } = world.hostA
  for (const [happens, state, told] of [
    [() => machines.fail(id), 'failed', /^vm\.failed: QEMU stopped VM web on host host-a: disk 0: no space\. Mend/],
    [() => machines.end(id, 'broken'), 'off', /^vm\.crashed: .*nobody asked for that: QEMU was killed by signal 9/],
    [() => machines.end(id, 'guest'), 'off', /^vm\.powered-off: .*its guest shut down/],
  ] as const) {
    if ((await power(world)).state === 'off') await world.powerOn()
    const before = (await world.events()).length
    happens()
    await world.report(world.hostA)
    assert.equal((await power(world)).state, state)
    const [event, ...others] = await typesSince(world, before)
    assert.match(event ?? '', told)
    assert.deepEqual(others, [])
    await world.report(world.hostA)
    assert.equal((await typesSince(world, before)).length, 1, 'told once')
  }
})

test('an older status changes nothing, whenever it arrives', async (context) => {
  const world = await runningWorld(context)
  const running = statusOf(world.hostA)
  await succeeded(world, await world.work.machines.changePower(admin, 'web', { action: 'pause' }))
  const before = (await world.events()).length
  await tell(world, world.hostA, running)
  assert.equal((await power(world)).state, 'paused')
  await succeeded(world, await world.work.machines.changePower(admin, 'web', { action: 'power-off' }))
  await tell(world, world.hostA, running)
  assert.equal((await power(world)).state, 'off')
  await world.powerOn()
  await tell(world, world.hostA, { ...running, state: 'off', ended: 'broken', revision: 1_000 })
  assert.equal((await power(world)).state, 'running', 'of a lease of before')
  assert.ok(!(await typesSince(world, before)).some((text) => /crashed|stray/.test(text)))
})

test('of a VM that a report does not name its host is asked before it is off', async (context) => {
  const world = await runningWorld(context)
  const before = (await world.events()).length
  await tell(world, world.hostA)
  assert.equal((await power(world)).state, 'running', 'the report was an old one')
  assert.deepEqual(await typesSince(world, before), [])
  world.hostA.machines.loseAll()
  await tell(world, world.hostA)
  assert.equal((await power(world)).state, 'off')
  assert.match((await typesSince(world, before))[0] ?? '', /^vm\.crashed: .*the host may have been restarted/)
})

test('a restart of agent or control plane loses no machine, and makes no event of it', async (context) => {
  const world = await runningWorld(context)
  await world.disconnect(world.hostA)
  assert.equal((await power(world)).state, 'unknown')
  world.hostA.restart()
  await world.connect(world.hostA)
  assert.equal((await power(world)).state, 'running')
  await world.reboot()
  assert.equal((await power(world)).state, 'running')
  assert.equal((await world.eventsOf('vm.powered-on')).length, 1)
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
  world.hostA.machines.fail(await idOf(world))
  await world.report(world.hostA)
  await world.reboot()
  assert.equal((await power(world)).state, 'failed')
  assert.equal((await world.eventsOf('vm.failed')).length, 1, 'that it failed was told before')
})

test('a report of a host that is gone already says nothing', async (context) => {
  const world = await runningWorld(context)
  const status = statusOf(world.hostA)
  await world.disconnect(world.hostA)
  await tell(world, world.hostA, { ...status, revision: status.revision + 1 })
  assert.equal((await power(world)).state, 'unknown')
  // The news of the session before comes when the next one is there.
  await world.connect(world.hostA)
  await world.work.hostDisconnected(await world.process.host(world.hostA))
  assert.equal((await power(world)).state, 'running')
})

test('a control plane that comes from a backup finds what runs, and does not give a lease twice', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  await world.powerOn()
  await succeeded(world, await world.work.machines.changePower(admin, 'web', { action: 'power-off' }))
  const { database } = world.process
  const old = await database.selectFrom('machine').selectAll().executeTakeFirstOrThrow()
  await world.powerOn()
  const { lease } = statusOf(world.hostA)
  // As the backup had it, from before it was started again.
  await database.updateTable('machine').set(old).where('vm_id', '=', old.vm_id).execute()
  await world.report(world.hostA)
  assert.equal((await power(world)).state, 'running')
  assert.match((await world.eventsOf('vm.found-running'))[0]?.text ?? '', /was not known to run/)
  await succeeded(world, await world.work.machines.changePower(admin, 'web', { action: 'power-off' }))
  await database.deleteFrom('machine').execute()
  await world.powerOn()
  assert.ok(statusOf(world.hostA).lease > lease, 'an agent refuses a lower one')
})

test('what was declared off and runs all the same counts as running, as long as nobody else was given it', async (context) => {
  const world = await runningWorld(context)
  await world.disconnect(world.hostA)
  await world.work.machines.declareOff(admin, 'web', { confirm: 'web' })
  await world.connect(world.hostA)
  assert.equal((await power(world)).state, 'running')
  await succeeded(world, await world.work.machines.changePower(admin, 'web', { action: 'power-off' }))
})

test('a VM that runs on two hosts is an alarm, is not started, and is ended where it is not to run', async (context) => {
  const world = await runningWorld(context)
  await world.disconnect(world.hostA)
  await world.work.machines.declareOff(admin, 'web', { confirm: 'web' })
  await succeeded(world, await world.work.machines.migrate(admin, 'web', { host: 'host-b' }))
  await world.connect(world.hostA)
  assert.equal((await power(world)).state, 'off')
  const [event] = await world.eventsOf('host.stray-machine')
  assert.match(event?.text ?? '', /Host host-a runs VM web, which is not its to run.*«host stop-machine host-a web»/)
  await assert.rejects(world.work.machines.changePower(admin, 'web', { action: 'power-on' }), {
    code: 'wrong-power-state',
    message: /runs on host host-a, which is not to run it/,
  })
  await assert.rejects(world.work.removeHost(await world.process.host(world.hostA), admin), { code: 'in-use' })
  await world.report(world.hostA)
  assert.equal((await world.eventsOf('host.stray-machine')).length, 1, 'told once')
  const blind: typeof admin = { ...admin, can: (_privilege, [object]) => object.kind !== 'host' }
  await assert.rejects(world.work.machines.changePower(blind, 'web', { action: 'power-on' }), {
    message: /runs on another host/,
  })
  await assert.rejects(world.work.machines.stopStray(admin, 'host-b', 'web'), { code: 'not-found' })
  const noVm: typeof admin = { ...admin, can: (_privilege, [object]) => object.kind !== 'vm' }
  await assert.rejects(world.work.machines.stopStray(noVm, 'host-a', 'web'), { code: 'not-found' })
  await world.work.machines.stopStray(admin, 'host-a', 'web')
  assert.deepEqual(world.hostA.machines.running, [])
  assert.equal((await world.eventsOf('host.stray-machine-gone')).length, 1)
  await world.powerOn()
  assert.equal(world.hostB.machines.running.length, 1)
})

test('a host cannot speak for the VM of another one, nor take a lease of the future', async (context) => {
  const world = await runningWorld(context)
  const status = statusOf(world.hostA)
  await tell(world, world.hostB, { ...status, state: 'off', ended: 'broken', revision: 99 })
  assert.equal((await power(world)).state, 'running')
  await tell(world, world.hostB, { ...status, state: 'paused', lease: status.lease + 5, revision: 99 })
  assert.equal((await power(world)).state, 'running')
  assert.equal((await world.eventsOf('host.stray-machine')).length, 1)
  await tell(world, world.hostA, { ...status, lease: Number.MAX_SAFE_INTEGER, revision: 99 })
  assert.equal((await world.eventsOf('host.stray-machine')).length, 2)
  const { lease } = await world.process.database.selectFrom('machine').select('lease').executeTakeFirstOrThrow()
  assert.equal(lease, status.lease)
})

test('a machine of a VM that the inventory does not know is an alarm until it is gone', async (context) => {
  const world = await World.start(context)
  const stranger: MachineStatus = {
    ...({ vmId: 'stranger', lease: 7, state: 'running', revision: 1, ended: null, reason: null } as const),
    ...({ since: 1, acceleration: 'tcg', qemu: '7.2.0' } as const),
  }
  await tell(world, world.hostB, stranger)
  assert.match(
    (await world.eventsOf('host.stray-machine'))[0]?.text ?? '',
    /VM stranger, which is not in the inventory/,
  )
  await tell(world, world.hostB)
  assert.equal((await world.eventsOf('host.stray-machine-gone')).length, 1)
})

/** Ends the VM's QEMU before the host answers to what is asked of it next, and reports that. */
function endAtNext(world: World, id: string): void {
  const { machines } = world.hostA
  machines.onChanged = async () => {
    machines.onChanged = () => undefined
    machines.end(id, 'broken')
    await world.report(world.hostA)
  }
}

test('a crash in the middle of a reset is told', async (context) => {
  const world = await runningWorld(context)
  endAtNext(world, await idOf(world))
  await world.ended(await world.work.machines.changePower(admin, 'web', { action: 'reset' }))
  assert.equal((await power(world)).state, 'off')
  assert.equal((await world.eventsOf('vm.crashed')).length, 1)
})

test('a VM that ends as soon as it was started was not started', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  endAtNext(world, await idOf(world))
  const { error } = await world.ended(await world.work.machines.changePower(admin, 'web', { action: 'power-on' }))
  assert.match(error?.message ?? '', /started VM web, and then it was off: QEMU was killed by signal 9/)
  assert.equal((await power(world)).state, 'off')
  assert.equal((await world.eventsOf('vm.power-on-failed')).length, 1)
  assert.equal((await world.eventsOf('vm.crashed')).length, 0, 'the task tells of it')
})
