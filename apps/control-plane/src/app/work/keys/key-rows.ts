import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { KeyRow } from '../../../database/schema.ts'
import { keyReference, keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'
import { isOutOfUse } from '../hosts/host-lookup.ts'
import { parseEncryption } from '../vms/vm-store.ts'
import { keyUsers, usersByKey } from './usage/key-usage.ts'

/** Whose KEK it is. */
export interface KeyOwner {
  readonly kind: 'vm' | 'host' | 'key-provider'
  readonly id: string
  readonly name: string
}

export const referenceOf = (row: Pick<KeyRow, 'provider' | 'key_id'>): KeyReference => ({
  provider: row.provider,
  keyId: row.key_id,
})

/** Puts a KEK that was just made on record, before anything uses it. */
export async function insertPendingKey(
  database: Database,
  key: KeyReference,
  owner: KeyOwner,
  taskId: string | null,
  now: number,
): Promise<void> {
  await insertKey(database, key, owner, { taskId, state: 'pending', now })
}

/** Puts a KEK on record. */
export async function insertKey(
  database: Database,
  key: KeyReference,
  owner: KeyOwner,
  { taskId, state, now }: { readonly taskId: string | null; readonly state: KeyRow['state']; readonly now: number },
): Promise<void> {
  await database
    .insertInto('key')
    .values({
      provider: key.provider,
      key_id: key.keyId,
      owner_kind: owner.kind,
      owner_id: owner.id,
      owner_name: owner.name,
      task_id: taskId,
      state,
      created_at: now,
    })
    .execute()
}

/** `now`: since when a key that is retired is. */
export async function setKeyState(
  database: Database,
  key: KeyReference,
  state: KeyRow['state'],
  now: number,
): Promise<void> {
  await database
    .updateTable('key')
    .set({ state, ...(state === 'retired' ? { retired_at: now } : {}) })
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .execute()
}

/** The row of a KEK; `null`: it is none that we ever made. */
export async function findKey(database: Database, key: KeyReference): Promise<KeyRow | null> {
  const row = await database
    .selectFrom('key')
    .selectAll()
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .executeTakeFirst()
  return row ?? null
}

/** The KEKs that a task made and that wrap nothing yet. */
export async function pendingKeysOfTask(database: Database, taskId: string): Promise<KeyRow[]> {
  return database.selectFrom('key').selectAll().where('task_id', '=', taskId).where('state', '=', 'pending').execute()
}

/** A VM whose KEKs are to be settled. */
export interface SettledVm {
  readonly id: string
  /** What it used so far. */
  readonly before: readonly KeyReference[]
  /** What it uses from now on; `null`: it is gone. */
  readonly used: readonly KeyReference[] | null
}

/**
 * Brings a VM's KEKs in step with what it uses from now on: those become current, and what was current and is not among
 * them is retired, unless another VM uses it, as clones do. Gives the ones that were retired.
 */
export async function settleKeys(
  database: Database,
  { id, before, used }: SettledVm,
  now: number,
): Promise<KeyReference[]> {
  const rows = new Map<string, KeyRow>()
  const own = await database
    .selectFrom('key')
    .selectAll()
    .where('owner_id', '=', id)
    .where('owner_kind', '=', 'vm')
    .where('state', 'in', ['pending', 'current'])
    .execute()
  for (const row of own) rows.set(keyText(referenceOf(row)), row)
  for (const key of before) {
    const row = rows.has(keyText(key)) ? null : await findKey(database, key)
    if (row !== null) rows.set(keyText(key), row)
  }
  const names = new Set((used ?? []).map(keyText))
  const left = [...rows].filter(([name, row]) => !names.has(name) && row.state === 'current')
  for (const [name, row] of rows) {
    if (names.has(name) && row.state === 'pending') await setKeyState(database, referenceOf(row), 'current', now)
  }
  // Of a wrapping key that was left by its provider and by all other VMs meanwhile.
  for (const key of used ?? []) {
    if (rows.has(keyText(key))) continue
    const row = await findKey(database, key)
    if (row?.state === 'retired') await setKeyState(database, key, 'current', now)
  }
  const others = await lastingUsers(
    database,
    left.map(([, row]) => referenceOf(row)),
    id,
  )
  const retired: KeyReference[] = []
  for (const [name, row] of left) {
    const key = referenceOf(row)
    const [other] = others.get(name) ?? []
    if (other === undefined) {
      await setKeyState(database, key, 'retired', now)
      retired.push(key)
    } else if (used === null && row.owner_id === id && other.owner.kind === 'vm') {
      await giveTo(database, key, other.owner)
    }
  }
  return retired
}

/** Retires a KEK that is current, unless something needs it. */
export async function retireIfUnused(database: Database, key: KeyReference, now: number): Promise<void> {
  const row = await findKey(database, key)
  if (row?.state !== 'current' || (await unusedKeys(database, [key])).length === 0) return
  await setKeyState(database, key, 'retired', now)
}

/** A KEK whose VM is gone belongs to the one that uses it still. */
async function giveTo(database: Database, key: KeyReference, vm: NamedVm): Promise<void> {
  await database
    .updateTable('key')
    .set({ owner_id: vm.id, owner_name: vm.name })
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .execute()
}

/** A KEK that hosts of a cluster need, and what it is for. */
export interface NeededKey {
  readonly key: KeyReference
  /** Name of a VM that uses it. */
  readonly vm: string | null
}

/**
 * What a host is to hold: the KEKs of its cluster (`keysOfCluster`) and its host key, a new one that is on its way too; nothing
 * where it is not crypto-safe, encryption is disabled on it, or it leaves. What a host asks for plays no part.
 */
export async function keysForHost(
  database: Database,
  hostId: string,
  clusterId: string,
): Promise<readonly NeededKey[]> {
  const host = await database.selectFrom('host').selectAll().where('id', '=', hostId).executeTakeFirst()
  if (host !== undefined && isOutOfUse(host)) return []
  const hostKey = host === undefined ? null : keyReference(host.host_key_provider, host.host_key_id)
  const shared = host !== undefined && hostKey === null ? [] : await keysOfCluster(database, clusterId)
  const needed = new Map(shared.map((one) => [keyText(one.key), one]))
  for (const row of await pendingHostKeys(database, hostId)) {
    needed.set(keyText(referenceOf(row)), { key: referenceOf(row), vm: null })
  }
  if (hostKey !== null) needed.set(keyText(hostKey), { key: hostKey, vm: null })
  return [...needed.values()]
}

/**
 * Every KEK that the database ties to VMs, layers (those that were detached too) and open tasks of a cluster; without VMs that are
 * stopped, since their key was revoked, or erased, and without the task `exceptTask`.
 */
export async function keysOfCluster(
  database: Database,
  clusterId: string,
  exceptTask?: string,
): Promise<readonly NeededKey[]> {
  const stopped = database
    .selectFrom('vm_revocation')
    .select('vm_id')
    .where('stopped_at', 'is not', null)
    .union(database.selectFrom('vm_erasing').select('vm_id'))
  const homes = await database
    .selectFrom('vm')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .select(['vm.name', 'vm.encryption'])
    .where('host.cluster_id', '=', clusterId)
    .where('vm.encryption', 'is not', null)
    .where('vm.id', 'not in', stopped)
    .execute()
  const disks = await database
    .selectFrom('disk')
    .innerJoin('vm', 'vm.id', 'disk.vm_id')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .select(['vm.name', 'disk.encryption'])
    .where('host.cluster_id', '=', clusterId)
    .where('disk.encryption', 'is not', null)
    .where('vm.id', 'not in', stopped)
    .execute()
  const detached = await database
    .selectFrom('detached_disk')
    .innerJoin('datastore', 'datastore.id', 'detached_disk.datastore_id')
    .select(['detached_disk.encryption'])
    .where('datastore.cluster_id', '=', clusterId)
    .where('detached_disk.encryption', 'is not', null)
    .execute()
  const needed = new Map<string, NeededKey>()
  for (const { name, encryption } of [...homes, ...disks, ...detached.map((disk) => ({ ...disk, name: null }))]) {
    for (const key of parseEncryption(encryption)?.keys ?? []) {
      if (!needed.has(keyText(key))) needed.set(keyText(key), { key, vm: name })
    }
  }
  for (const row of await openTaskKeys(database, clusterId, exceptTask)) {
    const key = referenceOf(row)
    if (!needed.has(keyText(key))) needed.set(keyText(key), { key, vm: row.owner_name })
  }
  return [...needed.values()]
}

/** Host keys that are being handed to a host. */
async function pendingHostKeys(database: Database, hostId: string): Promise<KeyRow[]> {
  return database
    .selectFrom('key')
    .selectAll()
    .where('owner_kind', '=', 'host')
    .where('owner_id', '=', hostId)
    .where('state', '=', 'pending')
    .execute()
}

/** KEKs that tasks which are under way made, or took, for VMs of a cluster. */
async function openTaskKeys(
  database: Database,
  clusterId: string,
  exceptTask: string | undefined,
): Promise<{ provider: string; key_id: string; owner_name: string }[]> {
  const taken = await database
    .selectFrom('task')
    .innerJoin('vm', 'vm.id', 'task.target_id')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .innerJoin('key', (join) =>
      join.onRef('key.provider', '=', 'task.key_provider').onRef('key.key_id', '=', 'task.key_id'),
    )
    .select(['task.id', 'key.provider', 'key.key_id', 'vm.name as owner_name'])
    .where('key.owner_kind', '=', 'key-provider')
    .where('task.state', 'in', ['queued', 'running'])
    .where('host.cluster_id', '=', clusterId)
    .execute()
  const made = await database
    .selectFrom('key')
    .innerJoin('task', 'task.id', 'key.task_id')
    .innerJoin('vm', 'vm.id', 'key.owner_id')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .selectAll('key')
    .where('key.state', '=', 'pending')
    .where('key.owner_kind', '=', 'vm')
    .where('task.state', 'in', ['queued', 'running'])
    .where('host.cluster_id', '=', clusterId)
    .execute()
  return [...made, ...taken.filter(({ id }) => id !== exceptTask)]
}

/** The KEKs of `keys` that no VM and no host key needs. */
export async function unusedKeys(database: Database, keys: readonly KeyReference[]): Promise<KeyReference[]> {
  const used = await lastingUsers(database, keys)
  return keys.filter((key) => !used.has(keyText(key)))
}

interface NamedVm {
  readonly id: string
  readonly name: string
}

/** Who uses each of `keys` (`keyText`), tasks and VM `exceptId` aside. */
async function lastingUsers(
  database: Database,
  keys: readonly KeyReference[],
  exceptId?: string,
): Promise<ReadonlyMap<string, readonly KeyUser[]>> {
  const users = await keyUsers(database, { keys })
  return usersByKey(users.filter(({ kind, owner }) => kind !== 'task' && owner.id !== exceptId))
}
