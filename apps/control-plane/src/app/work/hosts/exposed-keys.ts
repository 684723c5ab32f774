import type { ExposedKey } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { ExposedKeyRow } from '../../../database/host-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'
import { usedKeys } from '../keys/used-keys.ts'
import { keptUntil } from './kept-keys.ts'

/** Puts on record that a host which left did not confirm that it forgot `keys`. May be done again. */
export async function recordExposed(
  database: Database,
  host: Pick<HostRow, 'id' | 'name' | 'keys_kept_days'>,
  keys: readonly KeyReference[],
  reason: ExposedKeyRow['reason'],
  now: number,
): Promise<void> {
  for (const { provider, keyId } of keys) {
    const values = { host_name: host.name, reason, exposed_at: now, kept_until: keptUntil(host, now) }
    await database
      .insertInto('exposed_key')
      .values({ provider, key_id: keyId, host_id: host.id, ...values })
      .onConflict((conflict) => conflict.columns(['provider', 'key_id', 'host_id']).doUpdateSet(values))
      .execute()
  }
}

/** The host has confirmed by now that it holds none of them any more. */
export async function noLongerExposed(database: Database, hostId: string): Promise<void> {
  await database.deleteFrom('exposed_key').where('host_id', '=', hostId).execute()
}

/** Keys that hosts which left may still hold, with what uses them still; of one host (name or ID) or all. */
export async function exposedKeys(database: Database, host?: string): Promise<ExposedKey[]> {
  const rows = await database.selectFrom('exposed_key').selectAll().orderBy('exposed_at').orderBy('key_id').execute()
  const used = await usedKeys(database)
  return rows
    .filter((row) => host === undefined || row.host_name === host || row.host_id === host)
    .map((row) => {
      const users = used.get(keyText({ provider: row.provider, keyId: row.key_id }))
      return {
        provider: row.provider,
        keyId: row.key_id,
        host: row.host_name,
        reason: row.reason,
        exposedAt: timeText(row.exposed_at),
        keptUntil: timeTextOrNull(row.kept_until),
        vms: [...(users?.vms ?? [])],
        inUse: users !== undefined,
      }
    })
}
