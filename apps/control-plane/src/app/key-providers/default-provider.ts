import type { Transaction } from 'kysely'
import type { KeyProviderRow, Schema } from '../../database/schema.ts'
import type { RecordEvent } from '../events.ts'
import type { Principal } from '../ports.ts'

/** Makes a provider the one that is asked for keys where no other is named; gives its row as it is then. */
export async function makeDefault(
  transaction: Transaction<Schema>,
  record: RecordEvent,
  row: KeyProviderRow,
  by: Principal,
): Promise<KeyProviderRow> {
  await transaction.updateTable('key_provider').set({ is_default: 0 }).execute()
  await transaction.updateTable('key_provider').set({ is_default: 1 }).where('name', '=', row.name).execute()
  await record({
    type: 'key-provider.default-changed',
    provider: row.name,
    text: `key provider ${row.name} is the default now`,
    user: by.name,
  })
  return { ...row, is_default: 1 }
}

/** Makes a provider that became of use the default one, where there is none. */
export async function becomeDefaultIfNoneIs(
  transaction: Transaction<Schema>,
  record: RecordEvent,
  row: KeyProviderRow,
  by: Principal,
): Promise<void> {
  const present = await transaction
    .selectFrom('key_provider')
    .select('name')
    .where('is_default', '=', 1)
    .executeTakeFirst()
  if (present === undefined) await makeDefault(transaction, record, row, by)
}
