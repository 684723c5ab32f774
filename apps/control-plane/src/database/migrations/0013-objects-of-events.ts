import { type Kysely, sql } from 'kysely'

/**
 * Events say by ID which VM and host they are of, so that a later one of the same name is not taken for it: who may see the
 * object sees its events.
 */
export async function addObjectsOfEvents(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('event').addColumn('vm_id', 'text').execute()
  await db.schema.alterTable('event').addColumn('host_id', 'text').execute()
  await sql`update event set vm_id = (select id from vm where vm.name = event.vm_name)`.execute(db)
  await sql`update event set host_id = (select id from host where host.name = event.host_name)`.execute(db)
}
