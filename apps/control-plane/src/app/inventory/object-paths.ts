import type { ObjectKind } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { FolderTree } from './folder-tree.ts'
import { describeObject, type ObjectPath, root, rootPath, within } from './inventory-object.ts'

/** How an object is named: a name, a folder's path, or an ID. */
export interface ObjectName {
  readonly kind: ObjectKind
  readonly name: string
}

/** The object of that name or ID with all that it lies in. Throws `not-found`, naming `field` where an input named it. */
export async function objectPath(database: Kysely<Schema>, named: ObjectName, field?: string): Promise<ObjectPath> {
  const path = await findPath(database, named, field ?? named.kind)
  if (path !== null) return path
  throw noSuchObject(named, field)
}

/** As if it were not there: also for what somebody may not see. */
export function noSuchObject({ kind, name }: ObjectName, field?: string): ControlPlaneError {
  const advice = listCommands[kind] === undefined ? '' : `: «${listCommands[kind]}» shows those that are`
  const message = `there is no ${describeObject({ kind, name })}${advice}`
  return new ControlPlaneError('not-found', message, field === undefined ? {} : { field })
}

const listCommands: Readonly<Partial<Record<ObjectKind, string>>> = { vm: 'vm list', folder: 'folder list' }

/** The object with that ID; `null`: it is gone. */
export async function pathOfId(
  database: Kysely<Schema>,
  { kind, id }: { readonly kind: ObjectKind; readonly id: string },
): Promise<ObjectPath | null> {
  switch (kind) {
    case 'root':
      return rootPath
    case 'folder': {
      const tree = await FolderTree.read(database)
      return tree.has(id) ? tree.pathOf(id) : null
    }
    case 'vm':
      return vmPath(database, 'id', id)
    case 'host':
      return pathInCluster(database, 'host', 'id', id)
    case 'cluster':
      return clusterPathWhere(database, 'id', id)
    case 'datastore':
      return pathInCluster(database, 'datastore', 'id', id)
    case 'key-provider':
      return findPath(database, { kind, name: id }, kind)
    case 'policy':
      return policyPathWhere(database, 'id', id)
  }
}

/** VMs, hosts and folders go by ID, too, and an ID goes before a name. */
async function findPath(
  database: Kysely<Schema>,
  { kind, name }: ObjectName,
  field: string,
): Promise<ObjectPath | null> {
  switch (kind) {
    case 'root':
      return rootPath
    case 'folder': {
      const tree = await FolderTree.read(database)
      return tree.pathOf(tree.find(name, field)?.id ?? null)
    }
    case 'vm':
      return (await vmPath(database, 'id', name)) ?? vmPath(database, 'name', name)
    case 'host':
      return (await pathInCluster(database, 'host', 'id', name)) ?? pathInCluster(database, 'host', 'name', name)
    case 'cluster':
      return clusterPathWhere(database, 'name', name)
    case 'datastore':
      return pathInCluster(database, 'datastore', 'name', name)
    case 'key-provider': {
      const row = await database.selectFrom('key_provider').select('name').where('name', '=', name).executeTakeFirst()
      return row === undefined ? null : providerPath(row.name)
    }
    case 'policy':
      return policyPathWhere(database, 'name', name)
  }
}

type Column = 'id' | 'name'

async function vmPath(database: Kysely<Schema>, column: Column, value: string): Promise<ObjectPath | null> {
  const row = await database
    .selectFrom('vm')
    .select(['id', 'name', 'folder_id'])
    .where(column, '=', value)
    .executeTakeFirst()
  if (row === undefined) return null
  const tree = await FolderTree.read(database)
  return within({ kind: 'vm', id: row.id, name: row.name }, tree.pathOf(row.folder_id))
}

/** Of what lies in a cluster. */
async function pathInCluster(
  database: Kysely<Schema>,
  kind: 'host' | 'datastore',
  column: Column,
  value: string,
): Promise<ObjectPath | null> {
  const columns = ['id', 'name', 'cluster_id'] as const
  const row =
    kind === 'host'
      ? await database.selectFrom('host').select(columns).where(column, '=', value).executeTakeFirst()
      : await database.selectFrom('datastore').select(columns).where(column, '=', value).executeTakeFirst()
  const cluster = row === undefined ? null : await clusterPathWhere(database, 'id', row.cluster_id)
  return row === undefined || cluster === null ? null : within({ kind, id: row.id, name: row.name }, cluster)
}

async function clusterPathWhere(database: Kysely<Schema>, column: Column, value: string): Promise<ObjectPath | null> {
  const row = await database.selectFrom('cluster').selectAll().where(column, '=', value).executeTakeFirst()
  return row === undefined ? null : clusterPath(row.id, row.name)
}

async function policyPathWhere(database: Kysely<Schema>, column: Column, value: string): Promise<ObjectPath | null> {
  const row = await database.selectFrom('policy').select(['id', 'name']).where(column, '=', value).executeTakeFirst()
  return row === undefined ? null : policyPath(row.id, row.name)
}

/** Of a cluster that is there. */
export function clusterPath(id: string, name: string): ObjectPath {
  return within({ kind: 'cluster', id, name }, rootPath)
}

/** Of a key provider that is there. */
export function providerPath(name: string): ObjectPath {
  return within({ kind: 'key-provider', id: name, name }, rootPath)
}

/** Of a storage policy that is there. */
export function policyPath(id: string, name: string): ObjectPath {
  return within({ kind: 'policy', id, name }, rootPath)
}

/** An object that no permission is given on, in `parent`: what counts for it counts for whatever lies there. */
export function anythingIn(kind: ObjectKind, parent: ObjectPath): ObjectPath {
  return within({ ...root, kind, id: '' }, parent)
}
