import type { Kysely } from 'kysely'

/** Where a session was begun, so that people recognise their own; null: before this was kept, or an API token. */
export async function addSessionAddresses(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('bearer').addColumn('address', 'text').execute()
}
