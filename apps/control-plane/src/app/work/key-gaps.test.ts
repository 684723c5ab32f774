import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '@cryptvisor/control-plane-api'
import type { HostKeyGapRow } from '../../database/host-rows.ts'
import { hostsWithoutKeys } from '../alarms/alarm-looks.ts'
import { hostCrypto } from '../host-crypto-view.ts'
import { prepareEncrypted } from './testing/flow.ts'
import type { SimulatedAgent } from './testing/simulated-agent.ts'
import { World } from './testing/world.ts'

async function gapOf(world: World, agent: SimulatedAgent): Promise<HostKeyGapRow | null> {
  const row = await world.process.database
    .selectFrom('host_key_gap')
    .selectAll()
    .where('host_id', '=', agent.name)
    .executeTakeFirst()
  return row ?? null
}

async function shown(
  world: World,
  agent: SimulatedAgent,
  isConnected = true,
): Promise<Pick<Host, 'cryptoState' | 'cryptoReason' | 'keyGap'>> {
  return hostCrypto(await world.process.host(agent), await gapOf(world, agent), isConnected)
}

const alarmed = async (world: World) =>
  (await hostsWithoutKeys(world.process.database)).holds.map(({ object }) => object)

test('a host that started while its key server is down is not safe, says what it lacks and why, and is safe again by itself', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  assert.deepEqual(await shown(world, world.hostA), { cryptoState: 'safe', cryptoReason: null, keyGap: null })
  world.kms.down = true
  await world.disconnect(world.hostA)
  assert.match((await shown(world, world.hostA, false)).cryptoReason ?? '', /not connected.*start its agent/)
  world.hostA.restart()
  await world.connect(world.hostA)
  const lacking = await shown(world, world.hostA)
  assert.equal(lacking.cryptoState, 'prepared')
  const needed = lacking.keyGap?.neededCount ?? 0
  assert.equal(lacking.keyGap?.missingCount, needed)
  assert.match(
    lacking.cryptoReason ?? '',
    new RegExp(
      `^it lacks ${needed} of the ${needed} keys that it needs, its host key among them: .*vault.*tried again`,
    ),
  )
  assert.deepEqual(await alarmed(world), ['host-a'])
  assert.equal((await world.eventsOf('host.crypto.host-key-missing')).length, 1)
  await world.disconnect(world.hostA)
  assert.deepEqual(await alarmed(world), [], 'nothing is known of a host that is not connected')
  await world.connect(world.hostA)
  assert.equal((await world.eventsOf('host.crypto.host-key-missing')).length, 1, 'told once')
  world.kms.down = false
  await world.until(async () => (await gapOf(world, world.hostA)) === null)
  assert.deepEqual(await shown(world, world.hostA), { cryptoState: 'safe', cryptoReason: null, keyGap: null })
  assert.equal((await world.eventsOf('host.crypto.keys-complete')).length, 1)
})

test('a host that lacks the key of a VM alone stays safe and says so; a restart of the control plane loses neither', async (context) => {
  const world = await World.start(context)
  await prepareEncrypted(world)
  const stored = world.kms.keys.get('key-3')
  assert.ok(stored)
  world.kms.keys.delete('key-3')
  await world.disconnect(world.hostA)
  world.hostA.restart()
  await world.connect(world.hostA)
  const lacking = await shown(world, world.hostA)
  assert.equal(lacking.cryptoState, 'safe')
  assert.equal(lacking.keyGap?.missingCount, 1)
  assert.match(lacking.cryptoReason ?? '', /^it lacks 1 of the \d keys that it needs: .*key-3/)
  assert.equal((await world.eventsOf('host.crypto.keys-missing')).length, 1)
  await world.reboot()
  await world.until(async () => (await gapOf(world, world.hostA))?.is_known === 1)
  assert.equal((await world.eventsOf('host.crypto.keys-missing')).length, 1, 'told once')
  world.kms.keys.set('key-3', stored)
  await world.until(async () => (await gapOf(world, world.hostA)) === null)
})

test('each state that is not a good one has its reason and its next step', async (context) => {
  const world = await World.start(context)
  const row = await world.process.host(world.hostA)
  for (const [change, state, reason] of [
    [{ crypto_supported: 0 }, 'incapable', /«crypto» to «supported»/],
    [{ crypto_off_at: 1 }, 'incapable', /host crypto enable host-a/],
    [{ crypto_off_at: 1, crypto_off_boot_id: 'x' }, 'pendingIncapable', /start its agent anew/],
    [{ crypto_off_at: 1, decommissioned_at: 1 }, 'incapable', /host enroll host-a/],
    [{}, 'prepared', /no host key yet.*host crypto enable host-a/],
  ] as const) {
    const crypto = hostCrypto({ ...row, ...change }, null, true)
    assert.equal(crypto.cryptoState, state)
    assert.match(crypto.cryptoReason ?? '', reason)
  }
})
