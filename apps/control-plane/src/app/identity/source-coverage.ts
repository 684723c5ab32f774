import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { requireCoversGroup, requireCoversUser } from '../permissions/delegation.ts'
import type { Principal } from '../ports.ts'

/**
 * Whoever changes a source says who its users are: throws `no-privilege` when one of them, or a group that it gives, has
 * anything that `by` does not have.
 */
export async function requireCoversSource(database: Kysely<Schema>, by: Principal, source: string): Promise<void> {
  const users = await database
    .selectFrom('external_user')
    .select('user_name')
    .where('source_name', '=', source)
    .execute()
  for (const { user_name } of users) await requireCoversUser(database, by, user_name)
  const groups = await database
    .selectFrom('group_mapping')
    .select('group_name')
    .distinct()
    .where('source_name', '=', source)
    .execute()
  for (const { group_name } of groups) await requireCoversGroup(database, by, group_name)
}
