import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { prepareEncrypted } from './testing/flow.ts'
import { admin, World } from './testing/world.ts'

const checkA = async (world: World) => (await world.work.checkReboot({ host: 'host-a' })).checks[0]

test('a host can be restarted when all its keys can be had, each asked for once', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  world.kms.gets.clear()
  const { checks, verdict } = await world.work.checkReboot({ cluster: 'lab' })
  assert.equal(verdict, 'safe')
  assert.deepEqual(
    checks.map(({ host, obtainableCount, neededCount, vmCount }) => [host, obtainableCount, neededCount, vmCount]),
    [
      ['host-a', 2, 2, 1],
      ['host-b', 2, 2, 0],
    ],
  )
  assert.deepEqual(
    [...world.kms.gets.values()],
    [1, 1, 1],
    'the key of the VM is needed by both hosts and asked for once',
  )
})

test('what it says is what a restart does: keys gone, key server down, host key gone', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const request = { name: 'second', host: 'host-a', policy: encryptionPolicy, disks: [{ sizeBytes: 512 }] }
  await world.ended(await world.work.createVm(admin, request))
  const keyOf = async (name: string) => (await world.work.showVm(name)).home.key?.keyId ?? ''
  const gone = await keyOf('second')
  const stored = world.kms.keys.get(gone)
  assert.ok(stored)
  world.kms.keys.delete(gone)
  const check = await checkA(world)
  assert.equal(check?.verdict, 'unsafe')
  assert.deepEqual([check.obtainableCount, check.neededCount], [2, 3])
  assert.deepEqual(
    check.wouldLock.map(({ vm }) => vm),
    ['second'],
  )
  assert.match(check.wouldLock[0]?.reason ?? '', /does not have it: restore it/)
  assert.deepEqual(
    check.missing.map(({ keyId, state }) => [keyId, state]),
    [[gone, 'missing']],
  )
  const other = (await world.work.checkReboot({ host: 'host-b' })).checks[0]
  assert.equal(other?.verdict, 'degraded', 'no VM that needs it is there')
  await world.disconnect(world.hostA)
  world.hostA.restart()
  await world.connect(world.hostA)
  const locked = (await world.work.listVms(admin)).filter(({ lock }) => lock.state === 'locked')
  assert.deepEqual(
    locked.map(({ name }) => name),
    ['second'],
  )
  world.kms.keys.set(gone, stored)
  await world.until(async () => (await world.work.showVm('second')).lock.state === 'unlocked')
  assert.equal((await checkA(world))?.verdict, 'safe')

  world.kms.down = true
  const down = await checkA(world)
  assert.equal(down?.verdict, 'unsafe')
  assert.equal(down.obtainableCount, 0)
  assert.equal(down.wouldLock.length, 2)
  world.kms.down = false

  const hostKey = world.kms.keys.get('key-1')
  assert.ok(hostKey)
  world.kms.keys.delete('key-1')
  const bare = await checkA(world)
  assert.equal(bare?.verdict, 'unsafe')
  assert.match(bare.text, /would not be crypto-safe/)
})

test('a revoked key that its provider gives out still counts as one that can be had', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const stored = world.kms.keys.get('key-1')
  assert.ok(stored)
  stored.state = 'Deactivated'
  assert.equal((await checkA(world))?.verdict, 'safe')
})
