import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { Database } from '../../context.ts'
import { parseEncryption } from '../../vms/vm-store.ts'
import { type KeyUserQuery, keyFilter, mayName } from './key-users.ts'

/** Layers of no VM that lie on a datastore still; with a VM asked for, those that it had. */
export async function detachedDiskKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  if (query.hostId !== undefined) return []
  let select = database
    .selectFrom('detached_disk')
    .innerJoin('datastore', 'datastore.id', 'detached_disk.datastore_id')
    .select(['layer_id', 'vm_name', 'number', 'encryption', 'datastore.id', 'datastore.name'])
    .where('encryption', 'is not', null)
    .where((where) => mayName(where, 'detached_disk.encryption', query))
    .orderBy('layer_id')
  if (query.vmId !== undefined) select = select.where('vm_id', '=', query.vmId)
  const isAskedFor = keyFilter(query)
  return (await select.execute()).flatMap(({ layer_id, vm_name, number, encryption, id, name }) =>
    (parseEncryption(encryption)?.keys ?? []).filter(isAskedFor).map((key) => ({
      key,
      kind: 'detached-disk' as const,
      id: layer_id,
      name: `detached disk ${layer_id}, once disk ${number} of VM ${vm_name}`,
      owner: { kind: 'datastore' as const, id, name },
    })),
  )
}
