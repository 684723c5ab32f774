import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { keyHealth } from './keys/key-health.ts'
import { admin, World } from './testing/world.ts'

const key = { provider: 'vault', keyId: 'key-3' }

/** A VM under `key-3`; `key-1` and `key-2` are the host keys. */
async function encryptedVm(context: Parameters<typeof World.start>[0]): Promise<World> {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  return world
}

const verify = async (world: World) => (await world.work.keyVerification.verify(key)).state

test('a key that is as it should be is good, and that is kept; what uses it is named', async (context) => {
  const world = await encryptedVm(context)
  assert.equal((await keyHealth(world.process.database, key)).state, 'unchecked')
  const found = await world.work.keyVerification.verify(key)
  assert.deepEqual([found.state, found.vms, found.host], ['good', ['web'], null])
  assert.match(found.text, /is the one that a host holds/)
  const kept = await keyHealth(world.process.database, key)
  assert.equal(kept.state, 'good')
  assert.notEqual(kept.verifiedAt, null)
  assert.deepEqual(await world.eventsOf('kms.crypto.key-unavailable'), [])
  await assert.rejects(world.work.keyVerification.verify({ provider: 'vault', keyId: 'nobody' }), { code: 'not-found' })
})

test('each way in which a key goes wrong behind our back is told once, before a restart, and its end too', async (context) => {
  const world = await encryptedVm(context)
  const stored = world.kms.keys.get('key-3')
  assert.ok(stored)
  const setState = (state: typeof stored.state) => {
    stored.state = state
  }
  for (const [state, damage] of [
    ['revoked', () => setState('Deactivated')],
    ['destroyed', () => setState('Destroyed')],
    ['inactive', () => setState('PreActive')],
    ['missing', () => world.kms.keys.delete('key-3')],
    ['mismatch', () => world.kms.keys.set('key-3', { ...stored, bytes: randomBytes(32) })],
  ] as const) {
    const before = (await world.eventsOf('kms.crypto.key-unavailable')).length
    damage()
    assert.equal(await verify(world), state)
    assert.equal(await verify(world), state)
    const events = await world.eventsOf('kms.crypto.key-unavailable')
    assert.equal(events.length, before + 1, `${state} is told once`)
    const event = events.at(-1)
    assert.deepEqual([event?.vm, event?.provider, event?.keyId, event?.severity], ['web', 'vault', 'key-3', 'error'])
    assert.match(event?.text ?? '', /VM web needs.*stays locked/)
    // While its provider is away nothing new is known of it.
    world.kms.down = true
    assert.equal(await verify(world), state)
    world.kms.down = false
    stored.state = 'Active'
    world.kms.keys.set('key-3', stored)
    assert.equal(await verify(world), 'good')
    assert.equal((await world.eventsOf('kms.crypto.key-available')).length, before + 1)
  }
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked', 'what runs goes on')
  assert.deepEqual(await world.filesWithKeys(), [])
})

test('all keys are verified by a task; a provider that is away is asked once and told of once', async (context) => {
  const world = await encryptedVm(context)
  const all = async () => {
    const task = await world.ended(await world.work.verifyKeys(admin, {}))
    assert.equal(task.state, 'success')
    return (await world.work.keyVerification.list({})).map(({ keyId, state }) => [keyId, state])
  }
  assert.deepEqual(await all(), [
    ['key-1', 'good'],
    ['key-2', 'good'],
    ['key-3', 'good'],
  ])
  world.kms.down = true
  assert.deepEqual(await all(), [
    ['key-1', 'unreachable'],
    ['key-2', 'unreachable'],
    ['key-3', 'unreachable'],
  ])
  await all()
  assert.equal((await world.eventsOf('kms.crypto.connection-error')).length, 1)
  assert.equal((await world.work.keyVerification.list({ bad: true })).length, 3)
  world.kms.down = false
  await all()
  assert.deepEqual(await world.work.keyVerification.list({ bad: true }), [])
})

test('keys are read back by themselves, all of them within the time that was set', async (context) => {
  const world = await encryptedVm(context)
  await world.stop()
  world.verification = { everyMs: 600, atOnceMax: 2 }
  await world.boot()
  await world.until(async () => {
    const found = await world.work.keyVerification.list({})
    return found.length === 3 && found.every(({ state }) => state === 'good')
  })
  world.kms.keys.delete('key-2')
  await world.until(async () => (await world.eventsOf('kms.crypto.key-unavailable')).length === 1)
  const [event] = await world.eventsOf('kms.crypto.key-unavailable')
  assert.deepEqual([event?.host, event?.keyId], ['host-b', 'key-2'])
})
