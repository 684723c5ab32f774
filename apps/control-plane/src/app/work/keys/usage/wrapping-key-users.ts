import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { Database } from '../../context.ts'
import { type KeyUserQuery, keyFilter } from './key-users.ts'

/** Key providers that take the key for what is encrypted next. */
export async function wrappingKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  if (query.vmId !== undefined || query.hostId !== undefined) return []
  const isAskedFor = keyFilter(query)
  const rows = await database
    .selectFrom('wrapping_key')
    .select(['provider', 'key_id'])
    .where('key_id', 'is not', null)
    .orderBy('provider')
    .execute()
  return rows.flatMap(({ provider, key_id }) => {
    const key = key_id === null ? null : { provider, keyId: key_id }
    if (key === null || !isAskedFor(key)) return []
    const owner = { kind: 'key-provider' as const, id: provider, name: provider }
    return [{ key, kind: 'wrapping-key' as const, id: provider, name: 'current wrapping key', owner }]
  })
}
