import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy, type RekeyVm } from '@cryptvisor/control-plane-api'
import type { OperationRequest } from '@cryptvisor/host-agent-api'
import type { ControlPlaneErrorCode } from '../control-plane-error.ts'
import { assertWhole } from './testing/invariants.ts'
import { admin, userWithout, World } from './testing/world.ts'

async function encryptedWorld(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  return world
}

for (const depth of ['shallow', 'deep'] as const) {
  test(`a ${depth} rekey: one new KEK, labelled, on every host; the old one is forgotten and kept`, async (context) => {
    const world = await encryptedWorld(context)
    const before = await world.work.showVm('web')
    let asked: OperationRequest | null = null
    world.hostA.onStart = (request) => {
      asked = request
    }
    const started = await world.work.rekeyVm(admin, 'web', { depth })
    assert.equal(started.type, 'vm.rekey')
    const task = await world.ended(started)
    assert.equal(task.state, 'success', task.error?.message)
    const key = { provider: 'vault', keyId: 'key-4' }
    assert.deepEqual(task.key, key)
    const after = await world.work.showVm('web')
    assert.deepEqual([after.home.key, ...after.disks.map((disk) => disk.key)], [key, key, key])
    assert.equal(after.home.policy, encryptionPolicy)
    for (const [index, disk] of after.disks.entries()) {
      const { layerId, luksUuid } = before.disks[index] ?? {}
      assert.equal(disk.layerId === layerId && disk.luksUuid === luksUuid, depth === 'shallow')
    }
    assert.equal(world.kms.keys.get('key-4')?.labels['x-Identifier'], after.id)
    assert.equal(world.kms.keys.get('key-3')?.state, 'Active', 'old backups may need it')
    for (const agent of world.agents) {
      assert.ok(agent.keys.has('vault/key-4') && !agent.keys.has('vault/key-3'), agent.name)
    }
    // Assigned by the callback above.
    const request = asked as OperationRequest | null
    assert.equal(request?.kind, `${depth}-rekey`)
    const [told] = await world.eventsOf('vm.crypto.rekeyed')
    assert.deepEqual([told?.keyId, told?.user, told?.task], ['key-4', 'ada', task.id])
    assert.match(told?.text ?? '', /VM Home and disks 0, 1 rekeyed/)
    assert.match(told?.text ?? '', /key key-4 of provider vault in place of key key-3 of provider vault/)
    await assertWhole(world)
  })
}

test('a part is rekeyed by itself, with the provider that was asked for; the old KEK stays where it is used', async (context) => {
  const world = await encryptedWorld(context)
  const task = await world.ended(
    await world.work.rekeyVm(admin, 'web', { depth: 'deep', disks: [1], keyProvider: 'spare', verify: false }),
  )
  assert.equal(task.state, 'success', task.error?.message)
  const { home, disks } = await world.work.showVm('web')
  assert.deepEqual([home.key?.provider, ...disks.map(({ key }) => key?.provider)], ['vault', 'vault', 'spare'])
  for (const agent of world.agents) assert.ok(agent.keys.has('vault/key-3'))
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow', disks: [1] }))
  assert.equal((await world.work.disks.list('web'))[1]?.key?.provider, 'spare', 'the provider stays')
  await assertWhole(world)
})

test('an agent that died in the middle of a rekey is given both KEKs before it is asked to finish', async (context) => {
  const world = await encryptedWorld(context)
  world.hostA.looks = 1_000_000
  const task = await world.work.rekeyVm(admin, 'web', { depth: 'shallow' })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  world.hostA.running = false
  await world.disconnect(world.hostA)
  world.hostA.restart()
  world.hostA.looks = 2
  const heldAtRecovery: string[] = []
  world.process.faults.onPoint(({ name, when }) => {
    if (name.endsWith('/recover') && when === 'before') heldAtRecovery.push(...world.hostA.keys.keys())
  })
  world.process.beginSession(world.hostA)
  const ended = await world.ended(task)
  assert.equal(ended.error?.code, 'agent-failed')
  assert.ok(heldAtRecovery.includes('vault/key-3') && heldAtRecovery.includes('vault/key-4'), heldAtRecovery.join())
  await world.connect(world.hostA)
  await assertWhole(world)
})

interface Refusal {
  readonly name: string
  readonly request: RekeyVm
  readonly code: ControlPlaneErrorCode
  readonly message: RegExp
}

const refusals: readonly Refusal[] = [
  {
    name: 'nothing',
    request: { depth: 'deep', home: false },
    code: 'invalid',
    message: /^home: nothing of VM web is chosen/,
  },
  {
    name: 'no disk',
    request: { depth: 'deep', disks: [] },
    code: 'invalid',
    message: /^home: nothing of VM web is chosen/,
  },
  { name: 'an unknown disk', request: { depth: 'deep', disks: [9] }, code: 'not-found', message: /^disks\.0: .*9/ },
  {
    name: 'a plain disk',
    request: { depth: 'deep', disks: [1] },
    code: 'invalid',
    message: /^disks\.0: disk 1 of VM web is plain/,
  },
  { name: 'a disk twice', request: { depth: 'deep', disks: [0, 0] }, code: 'invalid', message: /^disks\.1: .*twice/ },
  { name: 'verifying nothing', request: { depth: 'shallow', verify: true }, code: 'invalid', message: /^verify: / },
  {
    name: 'slowing nothing down',
    request: { depth: 'shallow', bytesPerSecondMax: 65_536 },
    code: 'invalid',
    message: /^bytesPerSecondMax: /,
  },
  {
    name: 'an unknown provider',
    request: { depth: 'shallow', keyProvider: 'nowhere' },
    code: 'not-found',
    message: /^keyProvider: /,
  },
]

test('a rekey that cannot be is refused before anything happens', async (context) => {
  const world = await encryptedWorld(context)
  await world.ended(await world.work.changePolicy(admin, 'web', { disks: [{ number: 1, policy: plainPolicy }] }))
  const keyCount = world.kms.keys.size
  for (const { name, request, code, message } of refusals) {
    await context.test(name, () => assert.rejects(world.work.rekeyVm(admin, 'web', request), { code, message }))
  }
  const depth = 'shallow'
  await assert.rejects(world.work.rekeyVm(userWithout('Cryptographer.Recrypt'), 'web', { depth }), {
    code: 'no-privilege',
  })
  await world.plainVm('plain')
  await assert.rejects(world.work.rekeyVm(admin, 'plain', { depth }), { code: 'invalid', message: /is plain/ })
  assert.equal(world.kms.keys.size, keyCount)
})

test('a rekey that the agent refuses leaves the VM under its old KEK, and the new one is destroyed', async (context) => {
  const world = await encryptedWorld(context)
  world.hostA.failWith = { code: 'no-space', message: 'the datastore is full' }
  const task = await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'deep' }))
  assert.match(task.error?.message ?? '', /full/)
  assert.equal(world.kms.keys.get('key-4')?.state, 'Destroyed')
  assert.equal((await world.work.showVm('web')).home.key?.keyId, 'key-3')
  assert.match((await world.eventsOf('vm.crypto.failed'))[0]?.text ?? '', /rekeying VM Home and disks 0, 1 failed/)
  await assertWhole(world)
})
