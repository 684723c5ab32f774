import type { Kysely } from 'kysely'

/** Since when a directory cannot be used, and why, so that it is told once. */
export async function rememberDirectoryHealth(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('identity_source').addColumn('failed_at', 'bigint').execute()
  await db.schema.alterTable('identity_source').addColumn('failure', 'text').execute()
}
