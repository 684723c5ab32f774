import type { FoundFolders, FoundVm } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { DatastoreRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection } from '../../ports.ts'
import { askOutside } from '../../rehearsal.ts'
import { agentRefusal } from '../agent-refusal.ts'
import type { Database, WorkContext } from '../context.ts'
import { hostsOfCluster } from '../vms/lookup.ts'

/** The datastore of that name; throws `not-found`. */
export async function findDatastore(database: Database, name: string): Promise<DatastoreRow> {
  const row = await database.selectFrom('datastore').selectAll().where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `datastore: there is no datastore ${name}`, { field: 'datastore' })
}

/** A session of any host that sees a datastore; `null`: none is connected. */
export async function anyHostOf(work: WorkContext, { cluster_id }: DatastoreRow): Promise<HostConnection | null> {
  for (const host of await hostsOfCluster(work.database, cluster_id)) {
    const connection = work.hostConnections.get(host.id)
    if (connection !== null) return connection
  }
  return null
}

/** What lies on a datastore, as any of its hosts sees it. Throws `host-disconnected`, and what the host refuses. */
export async function browse(work: WorkContext, datastore: DatastoreRow): Promise<FoundFolders> {
  const connection = await anyHostOf(work, datastore)
  if (connection === null) {
    throw new ControlPlaneError(
      'host-disconnected',
      `no host that sees the datastore ${datastore.name} is connected: start an agent of its cluster, see «host list», and try again`,
    )
  }
  try {
    return await askOutside(`what lies on ${datastore.name}`, () =>
      connection.client.browseDatastore({ datastorePath: datastore.path }),
    )
  } catch (error) {
    if (error instanceof RestClientError) throw agentRefusal(`datastore ${datastore.name}`, error)
    throw error
  }
}

/**
 * What the `vm.json` of a folder says, as that host sees it. Throws `vm-busy` when an operation on it was not brought to its
 * end, and what the host refuses, such as a folder that holds no VM.
 */
export async function inspect(
  connection: HostConnection,
  datastore: Pick<DatastoreRow, 'name' | 'path'>,
  folder: string,
): Promise<FoundVm['vm']> {
  let found: FoundVm
  try {
    found = await askOutside(`what lies in ${folder} on ${datastore.name}`, () =>
      connection.client.inspectVm({ datastorePath: datastore.path, folder }),
    )
  } catch (error) {
    if (error instanceof RestClientError) throw agentRefusal(`folder ${folder} of datastore ${datastore.name}`, error)
    throw error
  }
  if (found.unfinishedOperation === null) return found.vm
  throw new ControlPlaneError(
    'vm-busy',
    `the VM in folder ${folder} of datastore ${datastore.name} has an operation (${found.unfinishedOperation}) that was not brought to its end: let the control plane that began it finish or undo it first (its task goes on when its host is back)`,
  )
}
