import type { Kysely } from 'kysely'
import type { Schema } from '../../../database/schema.ts'

/** The groups of ours that these groups of the source are mapped to. */
export async function mappedGroups(
  database: Kysely<Schema>,
  source: string,
  external: readonly string[],
): Promise<string[]> {
  const has = new Set(external)
  const mappings = await database
    .selectFrom('group_mapping')
    .select(['external_name', 'group_name'])
    .where('source_name', '=', source)
    .orderBy('group_name')
    .execute()
  return [...new Set(mappings.filter((each) => has.has(each.external_name)).map(({ group_name }) => group_name))]
}

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
