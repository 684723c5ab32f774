import { type Kysely, sql, type Transaction } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { timeText } from '../clock.ts'
import type { StandingList } from './alarm-definition.ts'

type Database = Kysely<Schema> | Transaction<Schema>

const dayMs = 86_400_000

/** VMs that their hosts say are locked. Of one whose host is away nothing is known. */
export async function lockedVms(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('vm')
    .select(['name', 'lock_state', 'lock_text'])
    .where('lock_state', '!=', 'unlocked')
    .execute()
  return {
    holds: rows
      .filter((row) => row.lock_state === 'locked')
      .map(({ name, lock_text: why }) => ({
        object: name,
        text: `VM ${name} is locked: ${why ?? 'no reason is known'}`,
      })),
    undecided: new Set(rows.filter((row) => row.lock_state === 'unknown').map(({ name }) => name)),
  }
}

/** VMs that use a key which was found revoked or gone; no longer so once they were given another one. */
export async function vmsWithRevokedKeys(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('vm_revocation')
    .innerJoin('vm', 'vm.id', 'vm_revocation.vm_id')
    .select(['vm.name', 'vm_revocation.provider', 'vm_revocation.key_id'])
    .execute()
  return {
    holds: rows.map(({ name, provider, key_id: keyId }) => ({
      object: name,
      text: `VM ${name} uses key ${keyId} of provider ${provider}, which was revoked or is gone`,
    })),
  }
}

/** Key providers whose last probe found this colour. */
export function providersOfHealth(health: 'yellow' | 'red'): (database: Database) => Promise<StandingList> {
  return async (database) => {
    const rows = await database
      .selectFrom('provider_health')
      .select(['provider', 'text'])
      .where('health', '=', health)
      .execute()
    return { holds: rows.map(({ provider, text }) => ({ object: provider, text })) }
  }
}

/**
 * Keys in use that were found bad when they were looked at. Where their server could not be asked, or an event told of a
 * key that was not looked at since, nothing is known.
 */
export async function badKeys(database: Database): Promise<StandingList> {
  const rows = await database.selectFrom('key_health').selectAll().where('bad_since', 'is not', null).execute()
  const isUnknown = (state: string) => state === 'unreachable' || state === 'unchecked'
  const nameOf = (row: { readonly provider: string; readonly key_id: string }) => `${row.provider}/${row.key_id}`
  return {
    holds: rows.filter(({ state }) => !isUnknown(state)).map((row) => ({ object: nameOf(row), text: row.text })),
    undecided: new Set([
      ...rows.filter(({ state }) => isUnknown(state)).map(nameOf),
      ...(await keysToLookAt(database)),
    ]),
  }
}

/** Keys in use of which an event told something bad, and that were not looked at since. */
async function keysToLookAt(database: Database): Promise<string[]> {
  const rows = await database
    .selectFrom('alarm')
    .innerJoin('key', (join) => join.on(sql<string>`key.provider || '/' || key.key_id`, '=', sql.ref('alarm.object')))
    .leftJoin('key_health', (join) =>
      join.onRef('key_health.provider', '=', 'key.provider').onRef('key_health.key_id', '=', 'key.key_id'),
    )
    .select(['alarm.object', 'alarm.last_at', 'key_health.checked_at'])
    .where('alarm.object_kind', '=', 'key')
    .where('alarm.cleared_at', 'is', null)
    .where('key.state', 'in', ['pending', 'current'])
    .execute()
  return rows.filter((row) => row.checked_at === null || row.checked_at <= row.last_at).map(({ object }) => object)
}

/** Hosts that run what is not theirs to run. */
export async function strayMachines(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('stray_machine')
    .innerJoin('host', 'host.id', 'stray_machine.host_id')
    .select(['host.name as host', 'stray_machine.vm_id'])
    .orderBy('stray_machine.vm_id')
    .execute()
  const byHost = Map.groupBy(rows, ({ host }) => host)
  return {
    holds: [...byHost].map(([host, strays]) => ({
      object: host,
      text: `Host ${host} runs VMs that are not its to run: ${strays.map(({ vm_id: id }) => id).join(', ')}`,
    })),
  }
}

/** VMs that do not comply with their policies. */
export async function driftedVms(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('vm_compliance')
    .innerJoin('vm', 'vm.id', 'vm_compliance.vm_id')
    .select(['vm.name', 'vm_compliance.state'])
    .where('vm_compliance.state', '!=', 'compliant')
    .execute()
  return {
    holds: rows
      .filter(({ state }) => state === 'non-compliant')
      .map(({ name }) => ({ object: name, text: `VM ${name} does not comply with its storage policies` })),
    undecided: new Set(rows.filter(({ state }) => state === 'unknown').map(({ name }) => name)),
  }
}

/** Hosts that left and may still hold keys that are in use. */
export async function exposingHosts(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('exposed_key')
    .innerJoin('key', (join) =>
      join.onRef('key.provider', '=', 'exposed_key.provider').onRef('key.key_id', '=', 'exposed_key.key_id'),
    )
    .select(({ fn }) => ['host_name', fn.countAll<number>().as('count')])
    .where('key.state', 'in', ['pending', 'current'])
    .groupBy('host_name')
    .execute()
  return {
    holds: rows.map(({ host_name: name, count }) => ({
      object: name,
      text: `${count} keys that are in use may still be on host ${name}, which is gone`,
    })),
  }
}

/** Hosts that cannot be given keys that they need. Of one that is not connected nothing is known. */
export async function hostsWithoutKeys(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('host_key_gap')
    .innerJoin('host', 'host.id', 'host_key_gap.host_id')
    .select(['host.name', 'host_key_gap.text', 'host_key_gap.is_known'])
    .where('host_key_gap.is_told', '=', 1)
    .where('host.crypto_off_at', 'is', null)
    .where('host.decommissioned_at', 'is', null)
    .execute()
  return {
    holds: rows
      .filter((row) => row.is_known === 1)
      .map(({ name, text }) => ({ object: name, text: `Host ${name}: ${text}` })),
    undecided: new Set(rows.filter((row) => row.is_known === 0).map(({ name }) => name)),
  }
}

/** After a restore, until somebody says that all was looked at. */
export async function heldAfterRestore(database: Database): Promise<StandingList> {
  const rows = await database.selectFrom('installation').select('restored_at').where('on_hold', '=', 1).execute()
  return {
    holds: rows.map(({ restored_at: at }) => ({
      object: 'control plane',
      text: `The control plane was restored${at === null ? '' : ` at ${timeText(at)}`}, and nobody has settled it`,
    })),
  }
}

/** Whether the last backup is older than `days`, or there never was one. An installation without VMs needs none. */
export async function oldBackup(database: Database, now: number, days: number): Promise<StandingList> {
  const row = await database.selectFrom('backup_schedule').select('last_success_at').executeTakeFirst()
  const vm = await database
    .selectFrom('vm')
    .select('id')
    .where('encryption', 'is not', null)
    .limit(1)
    .executeTakeFirst()
  const at = row?.last_success_at ?? null
  if (vm === undefined || (at !== null && now - at < days * dayMs)) return { holds: [] }
  const text =
    at === null
      ? 'The control plane has no backup, and there are encrypted VMs'
      : `The last backup of the control plane is of ${timeText(at)}`
  return { holds: [{ object: 'control plane', text }] }
}

/** Whether more than `most` keys that nothing uses wait to be destroyed. */
export async function manyOrphans(database: Database, _now: number, most: number): Promise<StandingList> {
  const { count } = await database
    .selectFrom('key')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '=', 'discarded')
    .executeTakeFirstOrThrow()
  if (count <= most) return { holds: [] }
  return { holds: [{ object: 'control plane', text: `${count} keys that nothing uses wait to be destroyed` }] }
}

/** Directories that could not be used when they were asked last. */
export async function failingDirectories(database: Database): Promise<StandingList> {
  const rows = await database
    .selectFrom('identity_source')
    .select(['name', 'failure'])
    .where('failed_at', 'is not', null)
    .where('enabled', '=', 1)
    .execute()
  return {
    holds: rows.map(({ name, failure }) => ({ object: name, text: `${name} cannot be used: ${failure ?? ''}` })),
  }
}
