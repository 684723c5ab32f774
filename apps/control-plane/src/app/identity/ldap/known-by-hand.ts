import type { Kysely } from 'kysely'
import type { Schema } from '../../../database/schema.ts'

/** Whether somebody here gave a user of a source a permission, or put them into a group: then they need no mapped group. */
export async function isKnownByHand(database: Kysely<Schema>, user: string): Promise<boolean> {
  const permission = await database
    .selectFrom('permission')
    .select('id')
    .where('user_name', '=', user)
    .executeTakeFirst()
  if (permission !== undefined) return true
  const member = await database
    .selectFrom('group_member')
    .select('group_name')
    .where('user_name', '=', user)
    .where('from_source', '=', 0)
    .executeTakeFirst()
  return member !== undefined
}
