import type { DatastoreRow, HostRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { within } from '../../inventory/inventory-object.ts'
import { clusterPath } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { hostsOfCluster } from './lookup.ts'

/** Where a VM goes. */
export interface Placement {
  readonly host: HostRow
  readonly datastore: DatastoreRow
}

/** What the user said of it, by name. */
export interface Wish {
  readonly cluster?: string
  readonly host?: string
  readonly datastore?: string
}

/**
 * Chooses host and datastore: those that were named, else a connected host and a datastore of the cluster, those with
 * the fewest VMs. `suits` says which hosts may be chosen. Throws `not-found`, and `invalid` when the names do not fit
 * together or nothing is there to choose from.
 */
export async function placeVm(
  work: WorkContext,
  principal: Principal,
  wish: Wish,
  suits: (host: HostRow) => Promise<boolean>,
): Promise<Placement> {
  const host = wish.host === undefined ? undefined : await byName(work, 'host', wish.host)
  const datastore = wish.datastore === undefined ? undefined : await byName(work, 'datastore', wish.datastore)
  const cluster = await chooseCluster(work, wish.cluster, host ?? datastore)
  for (const [field, row] of [['host', host] as const, ['datastore', datastore] as const]) {
    if (row === undefined || row.cluster_id === cluster.id) continue
    throw new ControlPlaneError('invalid', `${field}: ${row.name} is not in cluster ${cluster.name}`, { field })
  }
  if (datastore !== undefined) {
    const path = datastorePathOf(datastore, cluster)
    requirePrivileges(principal, contentRules.allocate.privileges, path)
  }
  return {
    host: stayingHost(host) ?? (await chooseHost(work, cluster, suits)),
    datastore: datastore ?? (await chooseDatastore(work, principal, cluster)),
  }
}

const datastorePathOf = ({ id, name }: DatastoreRow, cluster: Named) =>
  within({ kind: 'datastore', id, name }, clusterPath(cluster.id, cluster.name))

/** Nothing new comes to a host that leaves its cluster. */
function stayingHost(host: HostRow | undefined): HostRow | undefined {
  if (host === undefined || (host.leaving_task_id === null && host.decommissioned_at === null)) return host
  throw new ControlPlaneError('invalid', `host: ${host.name} leaves its cluster or was decommissioned`, {
    field: 'host',
  })
}

interface Named {
  readonly id: string
  readonly name: string
}

async function byName(work: WorkContext, kind: 'host', name: string): Promise<HostRow>
async function byName(work: WorkContext, kind: 'datastore', name: string): Promise<DatastoreRow>
async function byName(work: WorkContext, kind: 'host' | 'datastore', name: string): Promise<HostRow | DatastoreRow> {
  const select =
    kind === 'host'
      ? work.database.selectFrom('host').selectAll().where('name', '=', name)
      : work.database.selectFrom('datastore').selectAll().where('name', '=', name)
  const row = await select.executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `${kind}: there is no ${kind} ${name}`, { field: kind })
}

async function chooseCluster(
  work: WorkContext,
  name: string | undefined,
  within: { readonly cluster_id: string } | undefined,
): Promise<Named> {
  const clusters = await work.database.selectFrom('cluster').selectAll().orderBy('name').execute()
  if (name === undefined && within === undefined && clusters.length > 1) {
    const names = clusters.map((cluster) => cluster.name).join(', ')
    throw new ControlPlaneError('invalid', `cluster: there are several, so name one (or a host): ${names}`, {
      field: 'cluster',
    })
  }
  const cluster = clusters.find((row) =>
    name === undefined ? within === undefined || row.id === within.cluster_id : row.name === name,
  )
  if (cluster !== undefined) return cluster
  throw new ControlPlaneError(
    'not-found',
    name === undefined
      ? 'there is no cluster yet: make one with «cluster add»'
      : `cluster: there is no cluster ${name}`,
    { field: 'cluster' },
  )
}

async function chooseHost(
  work: WorkContext,
  cluster: Named,
  suits: (host: HostRow) => Promise<boolean>,
): Promise<HostRow> {
  const hosts: HostRow[] = []
  for (const host of await hostsOfCluster(work.database, cluster.id)) {
    if (work.hostConnections.get(host.id) !== null && host.leaving_task_id === null && (await suits(host)))
      hosts.push(host)
  }
  const counts = new Map(
    (
      await work.database
        .selectFrom('vm')
        .select((select) => ['host_id', select.fn.countAll<number>().as('count')])
        .groupBy('host_id')
        .execute()
    ).map((row) => [row.host_id, row.count]),
  )
  const [least] = hosts.toSorted((one, other) => (counts.get(one.id) ?? 0) - (counts.get(other.id) ?? 0))
  if (least !== undefined) return least
  throw new ControlPlaneError(
    'host-disconnected',
    `cluster ${cluster.name} has no connected host that suits: see «host list», or enrol one`,
  )
}

async function chooseDatastore(work: WorkContext, principal: Principal, cluster: Named): Promise<DatastoreRow> {
  const datastores = await work.database
    .selectFrom('datastore')
    .leftJoin('vm', 'vm.datastore_id', 'datastore.id')
    .selectAll('datastore')
    .where('cluster_id', '=', cluster.id)
    .groupBy('datastore.id')
    .orderBy((order) => order.fn.count('vm.id'))
    .orderBy('datastore.name')
    .execute()
  const [first] = datastores
  const mine = datastores.find((row) =>
    contentRules.allocate.privileges.every((privilege) => principal.can(privilege, datastorePathOf(row, cluster))),
  )
  if (mine !== undefined) return mine
  if (first !== undefined) {
    requirePrivileges(principal, contentRules.allocate.privileges, datastorePathOf(first, cluster))
  }
  throw new ControlPlaneError(
    'not-found',
    `datastore: cluster ${cluster.name} has none: make one with «datastore add»`,
    { field: 'datastore' },
  )
}
