import type { KeyUsageEdge, KeyUsageGraph, KeyUsageNode, KeyUser } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import { distinctKeys, keyText } from '../../../key-reference.ts'
import type { Sight } from '../../../permissions/sight.ts'
import type { Database } from '../../context.ts'
import { detachedDiskKeyUsers } from './detached-disk-key-users.ts'
import { hostKeyUsers } from './host-key-users.ts'
import type { KeyUserQuery, KeyUserSource } from './key-users.ts'
import { seenUsers } from './seen-users.ts'
import { taskKeyUsers } from './task-key-users.ts'
import { unregisteredVmKeyUsers } from './unregistered-vm-key-users.ts'
import { diskKeyUsers, vmHomeKeyUsers } from './vm-key-users.ts'
import { wrappingKeyUsers } from './wrapping-key-users.ts'

/** Everything that can need a KEK; VMs first. */
const sources: readonly KeyUserSource[] = [
  vmHomeKeyUsers,
  diskKeyUsers,
  hostKeyUsers,
  taskKeyUsers,
  detachedDiskKeyUsers,
  unregisteredVmKeyUsers,
  wrappingKeyUsers,
]

/** The most users of keys that one graph shows. */
const graphUsersMax = 10_000

/** How many keys are looked up in one query. */
const keysPerQueryMax = 500

/** Who uses keys, from the database; a few queries, however many keys and VMs there are. */
export async function keyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  if (query.keys?.length === 0) return []
  const found: KeyUser[] = []
  for (const source of sources) found.push(...(await source(database, query)))
  return found
}

/** The users of each key (`keyText`). */
export function usersByKey(users: readonly KeyUser[]): ReadonlyMap<string, readonly KeyUser[]> {
  return Map.groupBy(users, ({ key }) => keyText(key))
}

/**
 * The same as a graph: owners have parts, parts need keys. The keys that are asked for are in it when nothing uses them,
 * too; and with a VM whoever shares its keys, as clones do. What `sight` does not reach is counted.
 */
export async function keyUsageGraph(database: Database, query: KeyUserQuery, sight: Sight): Promise<KeyUsageGraph> {
  const own = await keyUsers(database, query)
  const shared = query.vmId === undefined ? null : { keys: distinctKeys(own.map(({ key }) => key)) }
  const all = shared === null ? own : await keyUsers(database, shared)
  const { users: seen, hiddenCount } = seenUsers(all, sight)
  const users = seen.slice(0, graphUsersMax)
  const keys = distinctKeys([...(query.keys ?? []), ...users.map(({ key }) => key)])
  const states = await keyStates(database, keys)
  const nodes = new Map<string, KeyUsageNode>()
  const edges: KeyUsageEdge[] = []
  const add = (node: KeyUsageNode) => {
    const isNew = !nodes.has(node.id)
    nodes.set(node.id, node)
    return isNew
  }
  for (const key of keys) {
    const name = keyText(key)
    add({ id: `key:${name}`, kind: 'key', ref: key.keyId, name, state: states.get(name) ?? null })
  }
  for (const { key, kind, id, name, owner } of users) {
    const ownerNode = `${owner.kind}:${owner.id}`
    add({ id: ownerNode, kind: owner.kind, ref: owner.id, name: owner.name, state: null })
    const node = `${kind}:${id}`
    if (add({ id: node, kind, ref: id, name, state: null })) edges.push({ from: ownerNode, to: node, kind: 'has' })
    edges.push({ from: node, to: `key:${keyText(key)}`, kind: 'needs' })
  }
  return { nodes: [...nodes.values()], edges, truncated: seen.length > users.length, hiddenCount }
}

/** What the database says of each key (`keyText`); those that are not on record are left out. */
async function keyStates(database: Database, keys: readonly KeyReference[]): Promise<Map<string, string>> {
  const states = new Map<string, string>()
  for (let index = 0; index < keys.length; index += keysPerQueryMax) {
    const ids = keys.slice(index, index + keysPerQueryMax).map(({ keyId }) => keyId)
    const rows = await database
      .selectFrom('key')
      .select(['provider', 'key_id', 'state'])
      .where('key_id', 'in', ids)
      .execute()
    for (const { provider, key_id, state } of rows) states.set(keyText({ provider, keyId: key_id }), state)
    const orders = await database
      .selectFrom('key_order')
      .select(['provider', 'key_id'])
      .where('key_id', 'in', ids)
      .where('action', '=', 'destroy')
      .where('ended_at', 'is', null)
      .execute()
    for (const { provider, key_id } of orders) states.set(keyText({ provider, keyId: key_id }), 'scheduled')
  }
  return states
}
