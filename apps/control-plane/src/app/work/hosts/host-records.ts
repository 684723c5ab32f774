import type { TakeSupportBundle } from '@cryptvisor/host-agent-api'
import type { HostRow } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { toEvent } from '../../events.ts'
import { keyReference } from '../../key-reference.ts'
import { bundledEventsMax, bundledTasksMax, bundlePeriodMs } from '../../support/bundle-period.ts'
import type { WorkContext } from '../context.ts'
import { taskView } from '../tasks/task-view.ts'
import { authorityOf, keysOf, readVms } from '../vms/vm-store.ts'
import { vmView } from '../vms/vm-view.ts'

/** What one file takes at most: four of them fit into one request to an agent. */
const fileSizeMax = 450_000
const lineSizeMax = 60_000

/** What the control plane adds to a host's support bundle. */
export type HostRecords = Pick<TakeSupportBundle, 'datastores' | 'keyIds' | 'files'>

/** Reads what is on record of a host: itself, its VMs, and its tasks and events of the last week. */
export async function readHostRecords(
  { database, clock, hostConnections }: WorkContext,
  host: HostRow,
): Promise<HostRecords> {
  const since = clock() - bundlePeriodMs
  const vms = await readVms(database, { hostId: host.id })
  const vmIds = vms.map(({ row }) => row.id)
  const datastores = await database
    .selectFrom('datastore')
    .select(['id', 'name', 'path'])
    .where('cluster_id', '=', host.cluster_id)
    .orderBy('name')
    .limit(64)
    .execute()
  const tasks = await database
    .selectFrom('task')
    .selectAll()
    .where('target_id', 'in', [host.id, ...vmIds])
    .where('created_at', '>=', since)
    .orderBy('created_at', 'desc')
    .limit(bundledTasksMax)
    .execute()
  const events = await database
    .selectFrom('event')
    .selectAll()
    .where((where) => where.or([where('host_id', '=', host.id), where('host_name', '=', host.name)]))
    .where('time', '>=', since)
    .orderBy('id', 'desc')
    .limit(bundledEventsMax)
    .execute()
  const keys = [
    host.host_key_id,
    ...vms.flatMap((vm) => keysOf(authorityOf(vm)).map(({ keyId }) => keyId)),
    ...events.map((event) => event.key_id),
  ].filter((id) => id !== null)
  const isConnected = hostConnections.get(host.id) !== null
  return {
    datastores: datastores.map(({ id, name, path }) => ({
      name,
      path,
      folders: vms
        .filter(({ row }) => row.datastore_id === id)
        .map(({ row }) => row.folder)
        .slice(0, 2000),
    })),
    keyIds: [...new Set(keys)].slice(0, 5000),
    files: [
      file('host.json', 'the host as the control plane knows it', [hostFacts(host, isConnected)]),
      file('vms.jsonl', 'the VMs on the host: policies, lock states, key IDs', vms.map(vmView)),
      file(
        'tasks.jsonl',
        'tasks of the host and its VMs of the last week, the newest first',
        tasks.map((row) => taskView(row, null)),
      ),
      file('events.jsonl', 'events of the host of the last week, the newest first', events.map(toEvent)),
    ],
  }
}

/** By name: one that is added to the row later is not shown before somebody thought of it. */
function hostFacts(host: HostRow, isConnected: boolean): object {
  return {
    id: host.id,
    name: host.name,
    connected: isConnected,
    url: host.url,
    hardwareUuid: host.hardware_uuid,
    version: host.version,
    bootId: host.boot_id,
    lastSeenAt: timeTextOrNull(host.last_seen_at),
    createdAt: timeText(host.created_at),
    certificateExpiresAt: timeText(host.certificate_expires_at),
    cryptoSupported: host.crypto_supported === 1,
    hostKey: keyReference(host.host_key_provider, host.host_key_id),
    cryptoOffAt: timeTextOrNull(host.crypto_off_at),
    leavingTask: host.leaving_task_id,
    decommissionedAt: timeTextOrNull(host.decommissioned_at),
  }
}

/** As many lines as there is room for. */
function file(name: string, about: string, values: readonly object[]): HostRecords['files'][number] {
  const lines: string[] = []
  let left = fileSizeMax
  for (const value of values) {
    const line = JSON.stringify(value)
    if (line.length > lineSizeMax) continue
    left -= Buffer.byteLength(line)
    if (left < 0 || lines.length === 9_999) {
      lines.push(JSON.stringify({ note: `cut: ${values.length - lines.length} more are left out` }))
      break
    }
    lines.push(line)
  }
  return { name, about, lines }
}
