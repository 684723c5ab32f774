import type { PolicyRow } from '../../../database/policy-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { defaultProvider, requireDefault, type Whereabouts } from '../../key-providers/provider-choice.ts'
import type { Database } from '../context.ts'
import { readVms, type VmRecord } from './vm-store.ts'

/** The VM with that ID, else with that name; throws `not-found`. */
export async function findVm(database: Database, nameOrId: string): Promise<VmRecord> {
  const [vm] = await readVms(database, { id: nameOrId })
  if (vm !== undefined) return vm
  const [named] = await readVms(database, { name: nameOrId })
  if (named !== undefined) return named
  throw new ControlPlaneError('not-found', `there is no VM ${nameOrId}: «vm list» shows those that are`, {
    field: 'vm',
  })
}

/** The VM that a task has: nobody removes it meanwhile. */
export async function vmOfTask(database: Database, id: string): Promise<VmRecord> {
  const [vm] = await readVms(database, { id })
  if (vm === undefined) throw new Error(`the VM ${id} is gone while a task has it`)
  return vm
}

/** The storage policy with that name; throws `not-found` for `field`. */
export async function findPolicy(database: Database, name: string, field: string): Promise<PolicyRow> {
  const policies = await database.selectFrom('policy').selectAll().orderBy('name').execute()
  const policy = policies.find((row) => row.name === name)
  if (policy !== undefined) return policy
  const names = policies.map((row) => `«${row.name}»`).join(', ')
  throw new ControlPlaneError('not-found', `${field}: there is no storage policy ${name}; there are ${names}`, {
    field,
  })
}

/** The hosts of a cluster, by name. */
export async function hostsOfCluster(database: Database, clusterId: string): Promise<HostRow[]> {
  return database.selectFrom('host').selectAll().where('cluster_id', '=', clusterId).orderBy('name').execute()
}

/** The host with that ID; throws `not-found`. */
export async function findHost(database: Database, id: string): Promise<HostRow> {
  const host = await database.selectFrom('host').selectAll().where('id', '=', id).executeTakeFirst()
  if (host === undefined) throw new ControlPlaneError('not-found', `there is no host ${id}`, { field: 'host' })
  return host
}

/**
 * The name of the provider to ask: the one that was named, else the nearest default of where the key is needed. Throws
 * `not-found`, `no-key-provider`.
 */
export async function findProvider(
  database: Database,
  name: string | undefined,
  field = 'keyProvider',
  near: Whereabouts = {},
): Promise<string> {
  if (name === undefined) return requireDefault(await defaultProvider(database, near)).provider
  const provider = await database.selectFrom('key_provider').select('name').where('name', '=', name).executeTakeFirst()
  if (provider !== undefined) return provider.name
  throw new ControlPlaneError('not-found', `${field}: there is no key provider ${name}: see «key-provider list»`, {
    field,
  })
}

/** The name of the provider to ask for a key of a VM, where `name` names none. Throws as `findProvider`. */
export async function findProviderFor(
  database: Database,
  name: string | undefined,
  { clusterId, row }: Pick<VmRecord, 'clusterId' | 'row'>,
): Promise<string> {
  return findProvider(database, name, undefined, { clusterId, folderId: row.folder_id })
}
