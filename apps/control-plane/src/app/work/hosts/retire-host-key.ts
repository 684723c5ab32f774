import type { Database } from '../context.ts'

/** Takes a host's host key from it on record; the key stays at its provider, for what it sealed. Twice does the same. */
export async function retireHostKey(database: Database, hostId: string, now: number): Promise<void> {
  await database
    .updateTable('host')
    .set({ host_key_provider: null, host_key_id: null })
    .where('id', '=', hostId)
    .execute()
  await database
    .updateTable('key')
    .set({ state: 'retired', retired_at: now })
    .where('owner_kind', '=', 'host')
    .where('owner_id', '=', hostId)
    .where('state', '=', 'current')
    .execute()
}
