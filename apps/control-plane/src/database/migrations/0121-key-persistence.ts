import type { Kysely } from 'kysely'

/** Hosts that keep their keys across restarts, and for how long: what was chosen, and what they may have on their disks; null: off, nothing. */
export async function addKeyPersistence(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('host').addColumn('key_persistence_days', 'integer').execute()
  await db.schema.alterTable('host').addColumn('key_persistence_since', 'bigint').execute()
  await db.schema.alterTable('host').addColumn('keys_kept_days', 'integer').execute()
  await db.schema.alterTable('exposed_key').addColumn('kept_until', 'bigint').execute()
}
