import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposedKeys } from './hosts/exposed-keys.ts'
import { prepareEncrypted } from './testing/flow.ts'
import { assertWhole } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

async function encryptedWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  await prepareEncrypted(world)
  return world
}

const hostB = (world: World) => world.process.host(world.hostB)
const kept = async (world: World) => {
  const { key_persistence_days, keys_kept_days } = await hostB(world)
  return [key_persistence_days, keys_kept_days]
}

/** Host B keeps its keys. */
async function persistingWorld(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await encryptedWorld(context)
  world.hostB.tpmProblem = null
  await world.work.persistences.enable(admin, 'host-b', 14)
  return world
}

test('a host without a TPM is refused with the reason and the cure, and nothing changes', async (context) => {
  const world = await encryptedWorld(context)
  await assert.rejects(world.work.persistences.enable(admin, 'host-b', 14), {
    code: 'invalid',
    message: /host-b cannot keep keys: no TPM\. .*give it one/,
  })
  assert.deepEqual(await kept(world), [null, null])
  assert.deepEqual(await world.eventsOf('host.key-persistence.enabled'), [])
  await world.disconnect(world.hostB)
  await assert.rejects(world.work.persistences.enable(admin, 'host-b', 14), { code: 'host-disconnected' })
})

test('a host that keeps its keys has them after a restart; a reboot check counts on them, and says until when', async (context) => {
  const world = await persistingWorld(context)
  const shown = await world.work.persistences.show('host-b')
  assert.partialDeepStrictEqual(shown, { keepDays: 14, mayKeepDays: 14, onHost: { isOn: true, keyCount: 2 } })
  const [before] = (await world.work.checkReboot({ host: 'host-b' })).checks
  assert.equal(before?.kept?.keyCount, 2)
  world.kms.keys.clear()
  const [check] = (await world.work.checkReboot({ host: 'host-b' })).checks
  assert.partialDeepStrictEqual(check, { verdict: 'degraded', obtainableCount: 0, wouldLock: [] })
  assert.match(check?.text ?? '', /keeps 2 keys in its TPM until 2030-03-17/)
  const [other] = (await world.work.checkReboot({ host: 'host-a' })).checks
  assert.partialDeepStrictEqual(other, { verdict: 'unsafe', kept: null })
  await world.disconnect(world.hostB)
  world.hostB.restart()
  await world.connect(world.hostB)
  assert.equal(world.hostB.keys.size, 2)
})

test('the control plane’s list rules: what was removed while the host was away goes, and is confirmed', async (context) => {
  const world = await persistingWorld(context)
  await world.disconnect(world.hostB)
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  world.hostB.restart()
  await world.connect(world.hostB)
  await world.until(() => world.hostB.keys.size === 2)
  const vm = await world.work.showVm('web')
  assert.ok(world.hostB.kept?.has(`vault/${vm.home.key?.keyId}`))
  assert.equal(world.hostB.kept?.size, 2)
  await assertWhole(world)
})

test('switched off while the host is away, it is erased when it comes; until then it is known that it may keep keys', async (context) => {
  const world = await persistingWorld(context)
  await world.disconnect(world.hostB)
  await world.work.persistences.disable(admin, 'host-b')
  assert.deepEqual(await kept(world), [null, 14])
  assert.partialDeepStrictEqual(await world.work.persistences.show('host-b'), { keepDays: null, mayKeepDays: 14 })
  world.hostB.restart()
  world.hostB.refusesToErase = true
  await world.connect(world.hostB)
  assert.deepEqual(await kept(world), [null, 14], 'it did not confirm that')
  assert.ok(world.hostB.kept)
  world.hostB.refusesToErase = false
  await world.until(async () => (await hostB(world)).keys_kept_days === null)
  assert.equal(world.hostB.kept, null)
})

test('fewer days count when the host has confirmed them; until then it may keep its keys for as many as before', async (context) => {
  const world = await persistingWorld(context)
  world.hostB.failsToKeep = true
  await assert.rejects(world.work.persistences.enable(admin, 'host-b', 3), { code: 'agent-failed' })
  assert.deepEqual(await kept(world), [14, 14], 'it keeps them for 14 days as far as anybody knows')
  await assert.rejects(world.work.persistences.enable(admin, 'host-b', 30), { code: 'agent-failed' })
  assert.deepEqual(await kept(world), [14, 30], 'it may have begun to')
  world.hostB.failsToKeep = false
  await world.work.persistences.enable(admin, 'host-b', 3)
  assert.deepEqual(await kept(world), [3, 3])
})

test('a restored control plane that knows nothing of it leaves it alone until it is settled', async (context) => {
  const world = await persistingWorld(context)
  await world.disconnect(world.hostB)
  const before = { key_persistence_days: null, key_persistence_since: null, keys_kept_days: null }
  await world.process.database.updateTable('host').set(before).execute()
  await world.process.database.updateTable('installation').set({ on_hold: 1 }).execute()
  await world.connect(world.hostB)
  assert.equal(world.hostB.kept?.size, 2)
  assert.deepEqual(await kept(world), [null, 14], 'it is known that it may keep keys')
  await world.disconnect(world.hostB)
  await world.process.database.updateTable('installation').set({ on_hold: 0 }).execute()
  await world.connect(world.hostB)
  assert.equal(world.hostB.kept, null)
  assert.deepEqual(await kept(world), [null, null])
})

test('a host whose TPM is gone is told to erase what it kept, and is given its keys as ever', async (context) => {
  const world = await persistingWorld(context)
  await world.disconnect(world.hostB)
  world.hostB.restart()
  world.hostB.keys.clear()
  world.hostB.tpmProblem = 'the TPM is gone'
  await world.connect(world.hostB)
  assert.equal(world.hostB.keys.size, 2)
  assert.deepEqual(await kept(world), [14, null])
  const [event] = await world.eventsOf('host.key-persistence.failed')
  assert.match(event?.text ?? '', /the TPM is gone/)
})

test('encryption that is disabled, and a move, switch it off; the host erases', async (context) => {
  const world = await persistingWorld(context)
  await world.process.database.insertInto('cluster').values({ id: 'cluster-2', name: 'other' }).execute()
  await world.ended(await world.work.forHosts((hosts) => hosts.move(admin, 'host-b', { cluster: 'other' })))
  assert.deepEqual(await kept(world), [null, null])
  assert.equal(world.hostB.kept, null)
  await world.work.persistences.enable(admin, 'host-b', 7)
  await world.ended(await world.work.forHosts((hosts) => hosts.disable(admin, 'host-b')))
  assert.deepEqual(await kept(world), [null, null])
  assert.equal(world.hostB.kept, null)
  await assert.rejects(world.work.persistences.enable(admin, 'host-b', 7), { code: 'invalid' })
})

test('a host that leaves while it is away: its keys are listed with the time for which it keeps them', async (context) => {
  const world = await persistingWorld(context)
  await world.disconnect(world.hostB)
  const task = await world.ended(
    await world.work.forHosts((hosts) => hosts.decommission(admin, 'host-b', { acceptExposure: true })),
  )
  assert.equal(task.state, 'success', task.error?.message)
  const exposed = await exposedKeys(world.process.database, 'host-b')
  assert.equal(exposed.length, 2)
  for (const { exposedAt, keptUntil } of exposed) {
    assert.equal(Date.parse(keptUntil ?? '') - Date.parse(exposedAt), 14 * 86_400_000)
  }
  const [event] = await world.eventsOf('host.crypto.key-exposed')
  assert.match(event?.text ?? '', /sealed to its TPM, until .*starting it anew does not end that/)
})

test('a host that leaves while it is away: what its VMs were rekeyed from meanwhile it has still, and that is listed, too', async (context) => {
  const world = await persistingWorld(context)
  const before = (await world.work.showVm('web')).home.key?.keyId
  assert.ok(before !== undefined)
  await world.disconnect(world.hostB)
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.ok(world.hostB.kept?.has(`vault/${before}`))
  assert.notEqual((await world.work.showVm('web')).home.key?.keyId, before)
  await world.ended(await world.work.forHosts((hosts) => hosts.decommission(admin, 'host-b', { acceptExposure: true })))
  const exposed = await exposedKeys(world.process.database, 'host-b')
  assert.ok(exposed.some(({ keyId }) => keyId === before))
})
