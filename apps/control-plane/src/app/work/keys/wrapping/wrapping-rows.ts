import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { WrappingKeyRow } from '../../../../database/wrapping-rows.ts'
import type { Database } from '../../context.ts'
import { findKey } from '../key-rows.ts'

/** A provider's wrapping key; `null`: each VM has a KEK of its own there. */
export async function findWrapping(database: Database, provider: string): Promise<WrappingKeyRow | null> {
  const row = await database.selectFrom('wrapping_key').selectAll().where('provider', '=', provider).executeTakeFirst()
  return row ?? null
}

/** Whether a new key is to be made before the next one is taken. */
export function isDue({ key_id, due_at }: WrappingKeyRow, now: number): boolean {
  return key_id === null || (due_at !== null && due_at <= now)
}

/** The key that whatever is encrypted with the provider would take now; `null`: a new one. */
export async function currentWrappingKey(
  database: Database,
  provider: string,
  now: number,
): Promise<KeyReference | null> {
  const row = await findWrapping(database, provider)
  if (row === null || row.key_id === null || isDue(row, now)) return null
  return { provider, keyId: row.key_id }
}

/** Whether VMs share the KEK, which is nobody's to give up with a task of theirs. */
export async function isShared(database: Database, key: KeyReference): Promise<boolean> {
  return (await findKey(database, key))?.owner_kind === 'key-provider'
}

/** Its provider gives the key to nobody any more; where the provider makes its wrapping keys, another one is due now. */
export async function takeFromProvider(
  database: Database,
  { provider, keyId }: KeyReference,
  now: number,
): Promise<void> {
  await database
    .updateTable('wrapping_key')
    .set({ key_id: null, since: null, due_at: now })
    .where('provider', '=', provider)
    .where('key_id', '=', keyId)
    .where('rotation_ms', 'is not', null)
    .execute()
}
