import type { Kysely } from 'kysely'
import type { Schema } from '../../../database/schema.ts'

/** What the platform would have set up: a cluster of two hosts with a datastore, and two key providers. */
export async function fillInventory(database: Kysely<Schema>): Promise<void> {
  await database.insertInto('cluster').values({ id: 'cluster-1', name: 'lab' }).execute()
  await database
    .insertInto('datastore')
    .values({ id: 'datastore-1', name: 'store', cluster_id: 'cluster-1', path: '/srv/store' })
    .execute()
  for (const name of ['host-a', 'host-b']) {
    await database
      .insertInto('host')
      .values({
        id: name,
        name,
        cluster_id: 'cluster-1',
        url: `https://${name}.invalid`,
        hardware_uuid: `uuid-of-${name}`,
        certificate_serial: name,
        certificate_expires_at: 0,
        version: null,
        last_seen_at: null,
        crypto_supported: 1,
        host_key_provider: null,
        host_key_id: null,
        created_at: 0,
      })
      .execute()
  }
  for (const name of ['vault', 'spare']) {
    await database
      .insertInto('key_provider')
      .values({
        name,
        is_default: name === 'vault' ? 1 : 0,
        servers: JSON.stringify([`${name}.invalid`, `${name}-2.invalid`].map((host) => ({ host, port: 5696 }))),
        server_ca: '',
        display_name: null,
        created_at: 0,
      })
      .execute()
  }
}
