import type { KeyProviderStatus } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { timeText, timeTextOrNull } from '../clock.ts'
import { toEvent } from '../events.ts'
import { keyReference } from '../key-reference.ts'
import { taskView } from '../work/tasks/task-view.ts'
import { bundledEventsMax, bundledTasksMax, bundlePeriodMs } from './bundle-period.ts'

/*
 * What a support bundle of the control plane has out of the database: columns by name, so that one that is added later is not
 * shown before somebody thought of it. No hash of a password or a token, nothing sealed, no address of a user.
 */

/** So many hosts, providers, alarms and targets. */
const rowsMax = 10_000

export async function hostRecords(database: Kysely<Schema>, connected: (hostId: string) => boolean): Promise<object[]> {
  const rows = await database
    .selectFrom('host')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .select(['host.id', 'host.name', 'cluster.name as cluster', 'host.version', 'host.crypto_supported', 'host.url'])
    .select(['host.host_key_provider', 'host.host_key_id', 'host.last_seen_at', 'host.certificate_expires_at'])
    .select(['host.crypto_off_at', 'host.leaving_task_id', 'host.decommissioned_at'])
    .orderBy('host.name')
    .limit(rowsMax)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    cluster: row.cluster,
    url: row.url,
    version: row.version,
    connected: connected(row.id),
    lastSeenAt: timeTextOrNull(row.last_seen_at),
    certificateExpiresAt: timeText(row.certificate_expires_at),
    cryptoSupported: row.crypto_supported === 1,
    hostKey: keyReference(row.host_key_provider, row.host_key_id),
    cryptoOffAt: timeTextOrNull(row.crypto_off_at),
    leavingTask: row.leaving_task_id,
    decommissionedAt: timeTextOrNull(row.decommissioned_at),
  }))
}

/** The key providers with what their last probe found. */
export async function providerRecords(database: Kysely<Schema>): Promise<object[]> {
  const rows = await database
    .selectFrom('key_provider')
    .leftJoin('provider_health', 'provider_health.provider', 'key_provider.name')
    .select(['key_provider.name', 'key_provider.display_name', 'key_provider.is_default', 'key_provider.created_at'])
    .select(['provider_health.health', 'provider_health.text', 'provider_health.since', 'provider_health.probed_at'])
    .select(['provider_health.servers as probed', 'key_provider.servers'])
    .orderBy('key_provider.name')
    .limit(rowsMax)
    .execute()
  return rows.map((row) => ({
    name: row.name,
    displayName: row.display_name,
    isDefault: row.is_default === 1,
    createdAt: timeText(row.created_at),
    // Written by us: host, port and pin, and the servers as `KeyProviderStatus` has them.
    servers: (JSON.parse(row.servers) as { host: string; port: number }[]).map(({ host, port }) => ({ host, port })),
    health: row.health,
    healthText: row.text,
    since: timeTextOrNull(row.since),
    probedAt: timeTextOrNull(row.probed_at),
    probed: row.probed === null ? null : (JSON.parse(row.probed) as KeyProviderStatus['servers']),
  }))
}

/** The tasks of the last week, and all that did not end, the newest first. */
export async function taskRecords(database: Kysely<Schema>, now: number): Promise<object[]> {
  const rows = await database
    .selectFrom('task')
    .selectAll()
    .where((where) =>
      where.or([where('created_at', '>=', now - bundlePeriodMs), where('state', 'in', ['queued', 'running'])]),
    )
    .orderBy('created_at', 'desc')
    .limit(bundledTasksMax)
    .execute()
  return rows.map((row) => taskView(row, null))
}

export async function eventRecords(database: Kysely<Schema>, now: number): Promise<ReturnType<typeof toEvent>[]> {
  const rows = await database
    .selectFrom('event')
    .selectAll()
    .where('time', '>=', now - bundlePeriodMs)
    .orderBy('id', 'desc')
    .limit(bundledEventsMax)
    .execute()
  return rows.map(toEvent)
}

/** Those that are raised, and those that were cleared in the last week. */
export async function alarmRecords(database: Kysely<Schema>, now: number): Promise<object[]> {
  const rows = await database
    .selectFrom('alarm')
    .selectAll()
    .where((where) => where.or([where('cleared_at', 'is', null), where('cleared_at', '>=', now - bundlePeriodMs)]))
    .orderBy('last_at', 'desc')
    .limit(rowsMax)
    .execute()
  return rows.map((row) => ({
    definition: row.definition,
    object: `${row.object_kind} ${row.object}`,
    severity: row.severity,
    text: row.text,
    count: row.count,
    raisedAt: timeText(row.raised_at),
    lastAt: timeText(row.last_at),
    acknowledgedAt: timeTextOrNull(row.acknowledged_at),
    clearedAt: timeTextOrNull(row.cleared_at),
  }))
}

/** Keys in use that were not found well when they were read back. */
export async function badKeyRecords(database: Kysely<Schema>): Promise<object[]> {
  const rows = await database
    .selectFrom('key_health')
    .selectAll()
    .where('bad_since', 'is not', null)
    .limit(rowsMax)
    .execute()
  return rows.map((row) => ({
    key: keyReference(row.provider, row.key_id),
    state: row.state,
    text: row.text,
    checkedAt: timeText(row.checked_at),
    verifiedAt: timeTextOrNull(row.verified_at),
    badSince: timeTextOrNull(row.bad_since),
  }))
}

/** Where notifications go and how that went; nothing of where that is. */
export async function notificationRecords(database: Kysely<Schema>): Promise<object[]> {
  const rows = await database
    .selectFrom('notification_target')
    .select(['name', 'kind', 'source', 'severity', 'enabled', 'cursor', 'failed_count', 'failed_since', 'last_error'])
    .select('last_sent_at')
    .orderBy('name')
    .limit(rowsMax)
    .execute()
  return rows.map((row) => ({
    name: row.name,
    kind: row.kind,
    source: row.source,
    severity: row.severity,
    enabled: row.enabled === 1,
    cursor: row.cursor,
    failedCount: row.failed_count,
    failedSince: timeTextOrNull(row.failed_since),
    lastError: row.last_error,
    lastSentAt: timeTextOrNull(row.last_sent_at),
  }))
}

/** The key IDs that are named in a bundle: they are left as they are, also where they look like keys. */
export async function namedKeyIds(database: Kysely<Schema>): Promise<string[]> {
  const rows = await database.selectFrom('key').select('key_id').limit(200_000).execute()
  return rows.map(({ key_id }) => key_id)
}
