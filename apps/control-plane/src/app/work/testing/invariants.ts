import assert from 'node:assert/strict'
import { eventTypes } from '@cryptvisor/control-plane-api'
import { keyReference, keyText } from '../../key-reference.ts'
import { unfinishedTasks } from '../tasks/task-store.ts'
import { authorityOf, keysOf, readVms } from '../vms/vm-store.ts'
import type { MemoryKms } from './memory-kms.ts'
import type { World } from './world.ts'

/** Whether nothing is left to do: for tasks, for keys that are to be destroyed, for hosts that are to forget some. */
export async function isSettled(world: World): Promise<boolean> {
  const { database } = world.process
  if ((await unfinishedTasks(database)).length > 0) return false
  const keys = await database.selectFrom('key').selectAll().execute()
  if (keys.some(({ state }) => state === 'discarded')) return false
  if (keys.some(({ state, owner_kind }) => state === 'pending' && owner_kind === 'key-provider')) return false
  const vms = await readVms(database, {})
  // Whoever looks at what nobody looked at while a task had it.
  if (vms.some(({ row }) => row.lock_state === 'unknown')) return false
  const used = new Set([
    ...keys
      // What many VMs may have counts for those that have it.
      .filter(({ state, owner_kind }) => state === 'current' && owner_kind !== 'key-provider')
      .map(({ provider, key_id }) => `${provider}/${key_id}`),
    ...vms.flatMap((vm) => keysOf(authorityOf(vm)).map(keyText)),
  ])
  const exposed = await exposedOn(world)
  return world.agents.every((agent) =>
    [...agent.keys.keys()].every((name) => used.has(name) || exposed.has(`${agent.name} ${name}`)),
  )
}

/**
 * What must hold whatever failed, when nothing goes on any more: the database and the datastores agree; what is
 * encrypted has its KEK; nobody holds or keeps a KEK that nothing uses. `orphans`: how many keys may be there whose making was
 * answered to nobody.
 */
export async function assertWhole(world: World, orphans = 0): Promise<void> {
  const { database } = world.process
  const vms = await readVms(database, {})
  const used = new Set<string>()
  assert.equal(vms.length, world.datastore.vms.size, 'each VM lies on a datastore, and no other')
  for (const vm of vms) {
    assert.equal(vm.row.task_id, null, 'the VM is nobody’s')
    const authority = authorityOf(vm)
    const stored = world.datastore.vms.get(vm.row.folder)
    assert.deepEqual(stored?.authority, authority, 'the datastore has what the database says')
    assert.equal(stored.journal, null)
    assert.ok(authority.encryption !== null || authority.disks.every((disk) => disk.encryption === null))
    for (const key of keysOf(authority)) used.add(keyText(key))
    const agent = world.agents.find(({ name }) => name === vm.hostName)
    for (const key of keysOf(authority)) assert.ok(agent?.keys.has(keyText(key)), 'its host holds the KEK')
    assert.equal(vm.row.lock_state, 'unlocked')
  }
  const hosts = await database.selectFrom('host').selectAll().execute()
  for (const host of hosts) {
    const hostKey = keyReference(host.host_key_provider, host.host_key_id)
    if (hostKey !== null) used.add(keyText(hostKey))
  }
  await assertKeys(world, used, orphans)
  const exposed = await exposedOn(world)
  for (const agent of world.agents) {
    const isHere = hosts.some(({ id }) => id === agent.name)
    for (const name of agent.keys.keys()) {
      const isKnown = isHere ? used.has(name) : exposed.has(`${agent.name} ${name}`)
      assert.ok(
        isKnown,
        `${agent.name} holds ${name}, which ${isHere ? 'nothing uses' : 'is not on record as exposed'}`,
      )
    }
  }
  for (const event of await world.events()) assert.ok(event.type in eventTypes)
  assert.deepEqual(await world.filesWithKeys(), [], 'no key bytes in the database')
}

/** What hosts that left may hold still, each as «host provider/key». */
async function exposedOn(world: World): Promise<ReadonlySet<string>> {
  const rows = await world.process.database.selectFrom('exposed_key').selectAll().execute()
  return new Set(rows.map(({ host_id, provider, key_id }) => `${host_id} ${provider}/${key_id}`))
}

async function assertKeys(world: World, used: ReadonlySet<string>, orphansMax: number): Promise<void> {
  const rows = await world.process.database.selectFrom('key').selectAll().execute()
  const wrapping = await world.process.database.selectFrom('wrapping_key').selectAll().execute()
  const taken = new Set(wrapping.map(({ provider, key_id }) => `${provider}/${key_id}`))
  const states = new Map(rows.map((row) => [`${row.provider}/${row.key_id}`, row.state]))
  let orphanCount = 0
  for (const kms of [world.kms, world.otherKms]) {
    for (const [keyId, { state }] of kms.keys) {
      const name = `${kms.name}/${keyId}`
      if (used.has(name) || taken.has(name)) {
        assert.equal(state, 'Active', `${name} is used`)
        assert.equal(states.get(name), 'current', `${name} is used`)
      } else if (states.get(name) === 'retired') {
        assert.equal(state, 'Active', `${name} wrapped something once`)
      } else if (states.has(name)) {
        assert.equal(state, 'Destroyed', `${name} wraps nothing`)
        assert.equal(states.get(name), 'destroyed', `${name} wraps nothing`)
      } else {
        assert.equal(state, 'PreActive', `${name} was answered to nobody`)
        orphanCount++
      }
    }
  }
  assert.ok(orphanCount <= orphansMax, `${orphanCount} orphans`)
}

/** The keys of a provider in words, for comparing. */
export function stateOfKeys(kms: MemoryKms): string[] {
  return [...kms.keys].map(([keyId, { state }]) => `${keyId} ${state}`)
}
