import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { Database } from '../../context.ts'
import { parseEncryption } from '../../vms/vm-store.ts'
import { type KeyUserQuery, keyFilter, mayName } from './key-users.ts'

/** VM Homes whose key record names the key. */
export async function vmHomeKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  let select = database
    .selectFrom('vm')
    .select(['id', 'name', 'encryption'])
    .where('encryption', 'is not', null)
    .where((where) => mayName(where, 'vm.encryption', query))
    .orderBy('name')
  if (query.vmId !== undefined) select = select.where('id', '=', query.vmId)
  if (query.hostId !== undefined) select = select.where('host_id', '=', query.hostId)
  const isAskedFor = keyFilter(query)
  return (await select.execute()).flatMap(({ id, name, encryption }) =>
    (parseEncryption(encryption)?.keys ?? []).filter(isAskedFor).map((key) => ({
      key,
      kind: 'vm-home' as const,
      id,
      name: 'VM Home',
      owner: { kind: 'vm' as const, id, name },
    })),
  )
}

/** Disks whose key record names the key. */
export async function diskKeyUsers(database: Database, query: KeyUserQuery): Promise<KeyUser[]> {
  let select = database
    .selectFrom('disk')
    .innerJoin('vm', 'vm.id', 'disk.vm_id')
    .select(['disk.id', 'disk.number', 'disk.encryption', 'vm.id as vm_id', 'vm.name as vm_name'])
    .where('disk.encryption', 'is not', null)
    .where((where) => mayName(where, 'disk.encryption', query))
    .orderBy('vm.name')
    .orderBy('disk.number')
  if (query.vmId !== undefined) select = select.where('vm.id', '=', query.vmId)
  if (query.hostId !== undefined) select = select.where('vm.host_id', '=', query.hostId)
  const isAskedFor = keyFilter(query)
  return (await select.execute()).flatMap(({ id, number, encryption, vm_id, vm_name }) =>
    (parseEncryption(encryption)?.keys ?? []).filter(isAskedFor).map((key) => ({
      key,
      kind: 'disk' as const,
      id,
      name: `disk ${number}`,
      owner: { kind: 'vm' as const, id: vm_id, name: vm_name },
    })),
  )
}
