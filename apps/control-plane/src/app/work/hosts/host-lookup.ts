import type { ClusterRow, HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'

/** The host with that name or ID; throws `not-found`. */
export async function hostNamed(database: Database, nameOrId: string): Promise<HostRow> {
  const row = await database
    .selectFrom('host')
    .selectAll()
    .where((where) => where.or([where('name', '=', nameOrId), where('id', '=', nameOrId)]))
    .executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `host: there is no host ${nameOrId}: see «host list»`, { field: 'host' })
}

/** The cluster with that name; throws `not-found`. */
export async function clusterOf(database: Database, name: string): Promise<ClusterRow> {
  const row = await database.selectFrom('cluster').selectAll().where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `cluster: there is no cluster ${name}: see «cluster list»`, {
    field: 'cluster',
  })
}

/**
 * The session of a host that a task needs. After a restart of the control plane its agent is given some time to come back.
 * Throws `host-disconnected`, and the signal's reason when the task is cancelled.
 */
export async function hostOfTask(
  work: WorkContext,
  host: Pick<HostRow, 'id' | 'name'>,
  cancelling: AbortSignal,
): Promise<HostConnection> {
  const connected = work.hostConnections.get(host.id)
  if (connected !== null) return connected
  const timeout = AbortSignal.timeout(work.timings.hostReturnMs)
  try {
    return await work.hostConnections.waitFor(host.id, AbortSignal.any([work.stopping, cancelling, timeout]))
  } catch (error) {
    if (!timeout.aborted) throw error
    throw new ControlPlaneError(
      'host-disconnected',
      `host ${host.name} is not connected: start its agent, see «host list», and try again`,
    )
  }
}

/** Waits for the host as `hostOfTask` does, and goes on without it when it does not come. */
export async function hostBack(
  work: WorkContext,
  host: Pick<HostRow, 'id' | 'name'>,
  cancelling: AbortSignal,
): Promise<void> {
  try {
    await hostOfTask(work, host, cancelling)
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error
  }
}

/** What of a host keeps it from being given keys. */
export function isOutOfUse(host: Pick<HostRow, 'crypto_off_at' | 'leaving_task_id' | 'decommissioned_at'>): boolean {
  return host.crypto_off_at !== null || isLeaving(host)
}

/** Whether a host is going out of its cluster, or was decommissioned. */
export function isLeaving(host: Pick<HostRow, 'leaving_task_id' | 'decommissioned_at'>): boolean {
  return host.leaving_task_id !== null || host.decommissioned_at !== null
}
