import type { KeyUser } from '@cryptvisor/control-plane-api'
import { keyReference } from '../../../key-reference.ts'
import type { Database } from '../../context.ts'
import { type KeyUserQuery, keyFilter } from './key-users.ts'

/** Hosts whose host key it is. */
export async function hostKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  if (query.vmId !== undefined) return []
  let select = database
    .selectFrom('host')
    .select(['id', 'name', 'host_key_provider', 'host_key_id'])
    .where('host_key_id', 'is not', null)
    .orderBy('name')
  if (query.hostId !== undefined) select = select.where('id', '=', query.hostId)
  if (query.provider !== undefined) select = select.where('host_key_provider', '=', query.provider)
  const isAskedFor = keyFilter(query)
  return (await select.execute()).flatMap(({ id, name, host_key_provider, host_key_id }) => {
    const key = keyReference(host_key_provider, host_key_id)
    if (key === null || !isAskedFor(key)) return []
    return [{ key, kind: 'host-key' as const, id, name: 'host key', owner: { kind: 'host' as const, id, name } }]
  })
}
