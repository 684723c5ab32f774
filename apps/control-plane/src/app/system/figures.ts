import { type KeyProviderStatus, PowerState } from '@cryptvisor/control-plane-api'
import { readCertificate } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { Schema } from '../../database/schema.ts'

/** One metric with its values now, all read from the database; no label has more values than there are providers, states and types. */
export interface Figure {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly values: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]
}

const dayMs = 86_400_000

const powerStates = PowerState.anyOf.map((state) => state.const)

/** The ages that keys are counted at, in days. */
export const keyAgeDays = [30, 90, 180, 365, 730] as const

/** What a query gives: labels and a value, by column. */
interface Row {
  readonly [label: string]: string | number
  readonly value: number
}

/** Reads all of them: a fixed number of queries, each of which counts. */
export async function readFigures(database: Kysely<Schema>, now: number): Promise<Figure[]> {
  return [
    ...(await coverage(database)),
    ...(await keys(database, now)),
    ...(await providers(database, now)),
    ...(await hosts(database, now)),
    ...(await tasks(database)),
    ...(await system(database, now)),
  ]
}

async function coverage(database: Kysely<Schema>): Promise<Figure[]> {
  const vms = await sql<Row>`
    select case
      when vm.encryption is null then 'plain'
      when exists (select 1 from disk where disk.vm_id = vm.id and disk.encryption is null) then 'partial'
      else 'encrypted' end as encryption,
      count(*) as value
    from vm group by 1`.execute(database)
  const locks = await sql<Row>`select lock_state as state, count(*) as value from vm group by 1`.execute(database)
  const powers = await sql<Row>`
    select coalesce(machine.state, 'off') as state, count(*) as value
    from vm left join machine on machine.vm_id = vm.id group by 1`.execute(database)
  const strays = await sql<Row>`select count(*) as value from stray_machine`.execute(database)
  const disks = await sql<Row>`
    select case when encryption is null then 'plain' else 'encrypted' end as encryption, count(*) as value
    from disk group by 1`.execute(database)
  const compliance = await sql<Row>`select state, count(*) as value from vm_compliance group by 1`.execute(database)
  const encryptions = ['plain', 'partial', 'encrypted']
  return [
    figure('vms', 'VMs by encryption', ['encryption'], filled(vms.rows, 'encryption', encryptions)),
    figure('vms_lock', 'VMs by lock state', ['state'], filled(locks.rows, 'state', ['unlocked', 'locked', 'unknown'])),
    figure('vms_power', 'VMs by power state', ['state'], filled(powers.rows, 'state', powerStates)),
    figure('stray_machines', 'Machines that hosts run and that are not theirs to run', [], strays.rows),
    figure('disks', 'Disks by encryption', ['encryption'], filled(disks.rows, 'encryption', ['plain', 'encrypted'])),
    figure('vms_compliance', 'VMs by whether they comply with their policies', ['state'], compliance.rows),
  ]
}

async function keys(database: Kysely<Schema>, now: number): Promise<Figure[]> {
  const states = await sql<Row>`select provider, state, count(*) as value from key group by 1, 2`.execute(database)
  const older: Row[] = []
  for (const days of keyAgeDays) {
    const { rows } = await sql<Row>`
      select provider, count(*) as value from key
      where state = 'current' and created_at < ${now - days * dayMs} group by 1`.execute(database)
    // Spread first: the row names its own columns only.
    older.push(...rows.map((row) => ({ ...row, days: String(days) })))
  }
  const health = await sql<Row>`select provider, state, count(*) as value from key_health group by 1, 2`.execute(
    database,
  )
  const waiting = await sql<Row>`
    select action, count(*) as value from key_order where ended_at is null group by 1`.execute(database)
  return [
    figure('keys', 'KEKs by provider and state', ['provider', 'state'], states.rows),
    figure('keys_older_than', 'KEKs in use that are older than so many days', ['provider', 'days'], older),
    figure(
      'keys_health',
      'KEKs in use by how they were found when they were read back',
      ['provider', 'state'],
      health.rows,
    ),
    figure('key_orders_waiting', 'Keys that are to be revoked or destroyed', ['action'], waiting.rows),
    figure('keys_exposed', 'KEKs that a host which left may still hold', [], await count(database, 'exposed_key')),
    figure(
      'approvals_waiting',
      'Requests that wait for a second user',
      [],
      await count(database, 'approval', 'pending'),
    ),
  ]
}

async function providers(database: Kysely<Schema>, now: number): Promise<Figure[]> {
  const health = await sql<Row>`select provider, health, 1 as value from provider_health`.execute(database)
  const probed = await sql<Row>`
    select provider, (${now} - probed_at) / 1000.0 as value from provider_health`.execute(database)
  const found = await database.selectFrom('provider_health').select(['provider', 'servers']).execute()
  const trips = found.flatMap(({ provider, servers }) => {
    // Written by us as `KeyProviderStatus` has them.
    const times = (JSON.parse(servers) as KeyProviderStatus['servers']).flatMap(({ roundTripMs }) => roundTripMs ?? [])
    return times.length === 0 ? [] : [{ provider, value: Math.min(...times) / 1000 }]
  })
  const identities = await database
    .selectFrom('provider_identity')
    .select(['provider', 'certificate'])
    .where('state', '=', 'active')
    .where('certificate', '!=', '')
    .execute()
  const ends = identities.map(({ provider, certificate }) => ({
    provider,
    value: (readCertificate(certificate).notAfter.getTime() - now) / 1000,
  }))
  return [
    figure('key_provider_round_trip_seconds', 'Of the fastest server at the last probe', ['provider'], trips),
    figure(
      'key_provider_certificate_seconds_left',
      'Until our certificate for a key provider ends',
      ['provider'],
      ends,
    ),
    figure('key_provider_health', 'Whether a key provider is in that colour', ['provider', 'health'], health.rows),
    figure('key_provider_probe_age_seconds', 'How long ago a key provider was probed', ['provider'], probed.rows),
  ]
}

async function hosts(database: Kysely<Schema>, now: number): Promise<Figure[]> {
  const soonest = await sql<Row>`
    select (min(certificate_expires_at) - ${now}) / 1000.0 as value from host having count(*) > 0`.execute(database)
  const sessions = await sql<Row>`
    select kind, count(*) as value from bearer where expires_at is null or expires_at > ${now} group by 1`.execute(
    database,
  )
  return [
    figure('host_certificate_seconds_left', 'Until the first certificate of a host ends', [], soonest.rows),
    figure(
      'sessions',
      'Bearer tokens that are good, by kind',
      ['kind'],
      filled(sessions.rows, 'kind', ['session', 'api-token']),
    ),
  ]
}

async function tasks(database: Kysely<Schema>): Promise<Figure[]> {
  const states = await sql<Row>`select type, state, count(*) as value from task group by 1, 2`.execute(database)
  const seconds = await sql<Row>`
    select type, sum(ended_at - started_at) / 1000.0 as value from task
    where ended_at is not null and started_at is not null group by 1`.execute(database)
  return [
    figure('tasks', 'Tasks on record by type and state', ['type', 'state'], states.rows),
    figure('tasks_seconds', 'How long the tasks on record that ended took together', ['type'], seconds.rows),
  ]
}

async function system(database: Kysely<Schema>, now: number): Promise<Figure[]> {
  const backup = await sql<{ last: number | null; failing: number }>`
    select last_success_at as last, last_failure is not null as failing from backup_schedule`.execute(database)
  const alarms = await sql<Row>`
    select severity, count(*) as value from alarm where cleared_at is null group by 1`.execute(database)
  const runs = await sql<Row>`select state, count(*) as value from campaign_run group by 1`.execute(database)
  const items = await sql<Row>`
    select item.state, count(*) as value from campaign_item as item
    join campaign_run as run on run.id = item.run_id where run.state = 'running' group by 1`.execute(database)
  const held = await sql<{ value: number }>`select on_hold as value from installation`.execute(database)
  const [row] = backup.rows
  const age = row === undefined || row.last === null ? [] : [{ value: (now - row.last) / 1000 }]
  return [
    figure('alarms', 'Alarms that are raised', ['severity'], filled(alarms.rows, 'severity', ['yellow', 'red'])),
    figure('campaign_runs', 'Runs of rekey campaigns by state', ['state'], runs.rows),
    figure('campaign_items', 'VMs of the campaigns that run by how far they are', ['state'], items.rows),
    figure('backup_age_seconds', 'Since the last backup of the control plane; missing: there is none', [], age),
    figure('backup_failing', 'Whether the last scheduled backup failed', [], [{ value: row?.failing ?? 0 }]),
    figure('on_hold', 'Whether it was restored and not settled yet', [], held.rows),
  ]
}

async function count(database: Kysely<Schema>, table: 'exposed_key' | 'approval', state?: string) {
  let select = sql<{ value: number }>`select count(*) as value from ${sql.table(table)}`
  if (state !== undefined) select = sql`${select} where state = ${state}`
  return (await select.execute(database)).rows
}

function figure(name: string, help: string, labels: readonly string[], rows: readonly Row[]): Figure {
  const values = rows.map((row) => ({
    labels: Object.fromEntries(labels.map((label) => [label, String(row[label] ?? '')])),
    value: Number(row.value),
  }))
  return { name: `cryptvisor_${name}`, help, labels, values }
}

/** The same with 0 for each value of a label that no row has, so that an alert sees it. */
function filled(rows: readonly Row[], label: string, all: readonly string[]): readonly Row[] {
  const found = new Set(rows.map((row) => row[label]))
  return [...rows, ...all.filter((name) => !found.has(name)).map((name) => ({ [label]: name, value: 0 }))]
}
