import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { Database } from '../../context.ts'
import { type KeyUserQuery, keyFilter } from './key-users.ts'

/** Tasks under way that had the key made, or wrap with it. */
export async function taskKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  let made = database
    .selectFrom('key')
    .innerJoin('task', 'task.id', 'key.task_id')
    .select(['key.provider', 'key.key_id', 'key.owner_kind', 'key.owner_id', 'key.owner_name', 'task.id', 'task.type'])
    .where('key.state', '=', 'pending')
    .where('task.state', 'in', ['queued', 'running'])
  const one = query.vmId ?? query.hostId
  if (one !== undefined) made = made.where('key.owner_id', '=', one)
  let taken = database
    .selectFrom('task')
    .innerJoin('key', (join) =>
      join.onRef('key.provider', '=', 'task.key_provider').onRef('key.key_id', '=', 'task.key_id'),
    )
    .innerJoin('vm', 'vm.id', 'task.target_id')
    .select(['key.provider', 'key.key_id', 'vm.id as owner_id', 'vm.name as owner_name', 'task.id', 'task.type'])
    .where('key.owner_kind', '=', 'key-provider')
    .where('task.state', 'in', ['queued', 'running'])
  if (query.vmId !== undefined) taken = taken.where('vm.id', '=', query.vmId)
  if (query.hostId !== undefined) taken = taken.where('vm.host_id', '=', query.hostId)
  const rows = [
    ...(await made.execute()),
    ...(await taken.execute()).map((row) => ({ ...row, owner_kind: 'vm' as const })),
  ]
  const isAskedFor = keyFilter(query)
  return rows.flatMap((row) => {
    const key = { provider: row.provider, keyId: row.key_id }
    if (!isAskedFor(key)) return []
    const owner = { kind: row.owner_kind, id: row.owner_id, name: row.owner_name }
    return [{ key, kind: 'task' as const, id: row.id, name: row.type, owner }]
  })
}
