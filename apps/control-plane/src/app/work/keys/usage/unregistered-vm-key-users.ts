import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Database } from '../../context.ts'
import { type KeyUserQuery, keyFilter, mayName } from './key-users.ts'

/** VMs that were taken out of the inventory, whose files are on a datastore still. */
export async function unregisteredVmKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  if (query.hostId !== undefined) return []
  let select = database
    .selectFrom('unregistered_vm')
    .leftJoin('datastore', 'datastore.name', 'unregistered_vm.datastore_name')
    .select(['vm_id', 'unregistered_vm.name', 'datastore_name', 'unregistered_vm.folder', 'keys', 'datastore.id'])
    .where((where) => mayName(where, 'unregistered_vm.keys', query))
    .orderBy('vm_id')
  if (query.vmId !== undefined) select = select.where('vm_id', '=', query.vmId)
  const isAskedFor = keyFilter(query)
  return (await select.execute()).flatMap(({ vm_id, name, datastore_name, folder, keys, id }) =>
    // Written by us from a list of key references.
    (JSON.parse(keys) as KeyReference[]).filter(isAskedFor).map((key) => ({
      key,
      kind: 'unregistered-vm' as const,
      id: vm_id,
      name: `VM ${name}, not in the inventory, in folder ${folder}`,
      owner: { kind: 'datastore' as const, id: id ?? datastore_name, name: datastore_name },
    })),
  )
}
