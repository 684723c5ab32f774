import type { Kysely } from 'kysely'

/** A disk on a block device can be detached, too. */
export async function addDetachedDevices(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('detached_disk').addColumn('device', 'text').execute()
}
