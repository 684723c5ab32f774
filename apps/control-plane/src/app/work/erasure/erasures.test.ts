import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, type Task } from '@cryptvisor/control-plane-api'
import type { Approver } from '../../approvals/approvals.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { Point } from '../testing/faults.ts'
import { isSettled } from '../testing/invariants.ts'
import { admin, userWithout, World } from '../testing/world.ts'

/** Another person with all privileges. */
const eve: Approver = { ...admin, name: 'eve', bearer: { id: 'session of eve', kind: 'session' } }

const refusal = (code: ControlPlaneError['code'], text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ControlPlaneError, String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, text)
  return true
}

async function succeed(world: World, task: Task): Promise<void> {
  const { state, error } = await world.ended(task)
  assert.equal(state, 'success', error?.message)
}

/** A world with the VM `web`, which was wrapped with key-3 first, with key-4 now; and with `other`, under key-5. */
async function encryptedWorld(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args)
  await world.plainVm()
  await succeed(world, await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  await succeed(world, await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  await world.plainVm('other')
  await succeed(world, await world.work.changePolicy(admin, 'other', { policy: encryptionPolicy }))
  return world
}

async function erase(world: World, name = 'web'): Promise<Task> {
  const { id, digest } = await world.work.erasures.request(name, { confirm: name, reason: 'leaving' }, admin)
  const { task } = await world.work.keyLives.approvals.approve(id, { digest }, eve)
  return world.work.tasks.show(task ?? '')
}

/** Nothing of the VM is left, and the certificate says so. */
async function assertErased(world: World): Promise<void> {
  assert.deepEqual(
    (await world.work.listVms(admin)).map(({ name }) => name),
    ['other'],
  )
  for (const keyId of ['key-3', 'key-4']) {
    assert.equal(world.kms.keys.get(keyId)?.state, 'Destroyed')
    for (const agent of world.agents) assert.ok(!agent.keys.has(`vault/${keyId}`), `${agent.name} forgot ${keyId}`)
  }
  assert.equal(world.datastore.vms.size, 1)
  const [erasure, ...more] = await world.work.erasures.list()
  assert.ok(erasure)
  assert.deepEqual(more, [])
  const { certificate } = await world.work.erasures.show('web')
  assert.deepEqual(
    certificate.keys.map(({ keyId, answer }) => [keyId, answer]),
    [
      ['key-4', 'Destroyed'],
      ['key-3', 'Destroyed'],
    ],
  )
  assert.deepEqual([certificate.requestedBy, certificate.approvedBy, certificate.reason], ['ada', 'eve', 'leaving'])
  assert.deepEqual(
    certificate.hosts.map(({ name, outcome }) => [name, outcome]),
    [
      ['host-a', 'confirmed'],
      ['host-b', 'confirmed'],
    ],
  )
  assert.match(certificate.notReached.join('\n'), /Backups and replicas of the key servers of provider vault/)
  assert.equal((await world.work.showVm('other')).lock.state, 'unlocked')
  assert.equal(world.kms.keys.get('key-5')?.state, 'Active')
  assert.equal((await world.eventsOf('vm.crypto.erased')).length, 1)
  assert.equal((await world.eventsOf('vm.crypto.erasing')).length, 1)
}

test('a VM is erased: every key that ever wrapped it, every cache, its files; others are left alone', async (context) => {
  const world = await encryptedWorld(context)
  await succeed(world, await erase(world))
  await assertErased(world)
})

test('it needs the name, a second person, and the privileges of both', async (context) => {
  const world = await encryptedWorld(context)
  const { erasures, keyLives } = world.work
  await assert.rejects(
    erasures.request('web', { confirm: 'other' }, admin),
    refusal('invalid', /type the VM’s name, web/),
  )
  const { id, digest, impact } = await erasures.request('web', { confirm: 'web' }, admin)
  assert.deepEqual(
    impact.keys.map(({ keyId }) => keyId),
    ['key-4', 'key-3'],
  )
  for (const by of [
    admin,
    ...(['Cryptographer.ManageKeys', 'VirtualMachine.Inventory.Delete'] as const).map((privilege) => ({
      ...userWithout(privilege),
      name: 'eve',
    })),
  ]) {
    await assert.rejects(
      keyLives.approvals.approve(id, { digest }, { ...by, bearer: eve.bearer }),
      refusal('no-privilege', /./),
    )
  }
  assert.equal((await world.work.showVm('web')).task, null)
  assert.equal(world.kms.keys.get('key-4')?.state, 'Active')
})

test('both need the privilege on the very VM, not on the root alone', async (context) => {
  const world = await encryptedWorld(context)
  const { erasures, keyLives } = world.work
  const kept = (name: string, readable: boolean): Principal => ({
    ...admin,
    name,
    can: (privilege, [object]) => object.kind !== 'vm' || (readable && privilege === 'System.Read'),
  })
  const ask = (by: Principal) => erasures.request('web', { confirm: 'web' }, by)
  await assert.rejects(ask(kept('kim', true)), refusal('no-privilege', /Inventory.Delete on VM web/))
  await assert.rejects(ask(kept('kim', false)), refusal('not-found', /./))
  const { id, digest } = await ask(admin)
  await assert.rejects(
    keyLives.approvals.approve(id, { digest }, { ...kept('eve', true), bearer: eve.bearer }),
    refusal('no-privilege', /VM web/),
  )
  assert.equal((await world.work.showVm('web')).task, null)
})

test('a plain VM, one whose keys others share, and one whose host is away cannot be erased; the text says what to do', async (context) => {
  const world = await encryptedWorld(context)
  const { erasures } = world.work
  await world.plainVm('plain')
  await assert.rejects(erasures.request('plain', { confirm: 'plain' }, admin), refusal('invalid', /vm delete/))
  await succeed(world, await world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }))
  await assert.rejects(
    erasures.request('web', { confirm: 'web' }, admin),
    refusal('in-use', /VM copy .*first: «vm rekey 'copy' --deep». Then/),
  )
  await succeed(world, await world.work.rekeyVm(admin, 'copy', { depth: 'deep' }))
  const { impact } = await erasures.request('web', { confirm: 'web' }, admin)
  assert.match(impact.warnings.join(), /VM copy was wrapped with the same key once/)
  await world.disconnect(world.hostA)
  await assert.rejects(erasures.request('web', { confirm: 'web' }, admin), refusal('host-disconnected', /host-a/))
})

test('a key server that is away at the beginning: all is as it was; in the middle: it waits, and says for what', async (context) => {
  const world = await encryptedWorld(context)
  world.kms.down = true
  const failed = await world.ended(await erase(world))
  assert.deepEqual([failed.state, failed.error?.code], ['error', 'kms-unreachable'])
  assert.equal((await world.work.showVm('web')).task, null)
  world.kms.down = false
  assert.equal(world.kms.idsIn('Destroyed').length, 0)

  const { faults } = world.process
  faults.onPoint(({ name, when }) => {
    if (name === 'kms describeKey' && when === 'after' && world.kms.idsIn('Destroyed').length === 1)
      world.kms.down = true
  })
  const task = await erase(world)
  await world.until(async () =>
    /1 of 2 keys are destroyed; key key-3 is not/.test((await world.work.tasks.show(task.id)).step),
  )
  assert.equal((await world.work.tasks.cancel(task.id)).state, 'running')
  assert.deepEqual(await world.work.erasures.list(), [])
  await world.reboot()
  await world.until(async () => (await world.work.tasks.show(task.id)).step.includes('key-3 is not'))
  world.kms.down = false
  await succeed(world, task)
  await assertErased(world)
})

test('a host that is away is named in the certificate, and forgets the keys when it is back', async (context) => {
  const world = await encryptedWorld(context)
  world.hostB.tpmProblem = null
  await world.work.persistences.enable(admin, 'host-b', 14)
  await world.disconnect(world.hostB)
  await succeed(world, await erase(world))
  const { certificate } = await world.work.erasures.show('web')
  assert.deepEqual(
    certificate.hosts.map(({ name, outcome }) => [name, outcome]),
    [
      ['host-a', 'confirmed'],
      ['host-b', 'absent'],
    ],
  )
  assert.match(certificate.notReached.join('\n'), /not connected: host-b/)
  assert.match(certificate.notReached.join('\n'), /keep keys across restarts, sealed to their TPMs: host-b until \d/)
  assert.match(certificate.hosts[1]?.text ?? '', /not connected; it keeps its keys across restarts/)
  world.hostB.restart()
  assert.ok(world.hostB.keys.has('vault/key-4'), 'it opened what it had kept')
  await world.connect(world.hostB)
  await world.until(() => !world.hostB.keys.has('vault/key-4'))
})

/** Reading changes nothing: being killed before it is being killed after what was before it. */
const matters = ({ name }: Point) => name !== 'db SelectQueryNode' && !name.includes('GET /v1')

test('the control plane is killed at every point of an erasure, with the agents or without: it ends, whole', async (context) => {
  const ready = await encryptedWorld(context)
  const { id, digest } = await ready.work.erasures.request('web', { confirm: 'web', reason: 'leaving' }, admin)
  await ready.stop()
  const first = await ready.fork(context)
  const begin = first.process.faults.points.length
  const { task } = await first.work.keyLives.approvals.approve(id, { digest }, eve)
  await succeed(first, await first.work.tasks.show(task ?? ''))
  await assertErased(first)
  const points = first.process.faults.points.slice(begin)
  const chosen = [...points.keys()].filter((index) => {
    const point = points[index]
    return point !== undefined && matters(point) && (process.env['CRYPTVISOR_TEST_LONG'] === '1' || index % 3 === 0)
  })
  assert.ok(chosen.length > 10)
  for (const index of chosen) {
    const world = await ready.fork(context)
    const { faults } = world.process
    const start = faults.points.length
    faults.onPoint((_point, at) => {
      if (at - start === index) faults.kill()
    })
    const approved = await world.work.keyLives.approvals.approve(id, { digest }, eve).catch(() => null)
    await world.until(async () => faults.dead || (approved !== null && (await isSettled(world))))
    await world.stop()
    if (index % 2 === 0) for (const agent of world.agents) agent.restart()
    await world.boot()
    await world.until(() => isSettled(world))
    const { state } = await world.work.keyLives.approvals.show(id, admin)
    if (state === 'approved') await assertErased(world)
    else {
      assert.equal(state, 'pending', 'nothing happened, and it can be approved still')
      assert.equal((await world.work.listVms(admin)).length, 2)
      assert.equal(world.kms.idsIn('Destroyed').length, 0)
    }
    await world.stop()
  }
})

test('what a VM under a wrapping key shares it with is named with the commands that mend it, which do', async (context) => {
  const world = await World.start(context)
  await world.wrapKeys()
  for (const name of ['web', 'other']) {
    await world.plainVm(name)
    await succeed(world, await world.work.changePolicy(admin, name, { policy: encryptionPolicy }))
  }
  const ask = () => world.work.erasures.request('web', { confirm: 'web' }, admin)
  await assert.rejects(
    ask(),
    refusal('in-use', /first: «key-provider rotate-wrapping-key vault», «vm rekey 'other'». Then/),
  )
  const before = await world.wrappingKey()
  await world.work.rotateWrappingKey(admin, 'vault')
  await world.until(async () => (await world.wrappingKey()) !== before)
  await succeed(world, await world.work.rekeyVm(admin, 'other', { depth: 'shallow' }))
  assert.deepEqual(
    (await ask()).impact.users.map(({ owner }) => owner.name),
    ['web', 'web', 'web'],
  )
})
