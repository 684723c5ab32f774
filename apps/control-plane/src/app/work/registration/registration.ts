import type { DatastoreFolder, RegisterVm } from '@cryptvisor/control-plane-api'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { DatastoreRow, HostRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { FolderTree } from '../../inventory/folder-tree.ts'
import { keyText } from '../../key-reference.ts'
import type { Principal } from '../../ports.ts'
import { orExists } from '../../unique.ts'
import type { Database, WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { requireNoOrder } from '../keys/orders/order-store.ts'
import { requirePowerFor } from '../machines/power-rules.ts'
import { requireCapableHost, requireConnection, requireIdle } from '../vms/change-request.ts'
import { requireFreeDevice } from '../vms/device-claim.ts'
import { openNow } from '../vms/lock-states.ts'
import { findVm, hostsOfCluster } from '../vms/lookup.ts'
import { placeVm } from '../vms/placement.ts'
import { requireFreeName } from '../vms/vm-creation.ts'
import { authorityOf, keysOf, storeAuthority } from '../vms/vm-store.ts'
import { adoptKeys, forgetUnneeded, proveFound, requireProviders } from './found-keys.ts'
import { withPolicies } from './found-policies.ts'
import { browse, findDatastore, inspect } from './found-vm.ts'

/** Takes VMs into the inventory that lie on a datastore already, and out of it without touching their files. */
export class Registration {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #again: (hostId: string) => void

  /** `again`: a host has to be brought up to date. */
  constructor(work: WorkContext, handOver: HandOver, again: (hostId: string) => void) {
    this.#work = work
    this.#handOver = handOver
    this.#again = again
  }

  /** The folders of a datastore that hold VMs. Throws `not-found`, `host-disconnected`. */
  async browse(datastoreName: string): Promise<DatastoreFolder[]> {
    const datastore = await findDatastore(this.#work.database, datastoreName)
    const { folders } = await browse(this.#work, datastore)
    const names = await registeredIn(this.#work.database, datastore)
    return folders.map(({ folder, vm, problem }) => ({
      folder,
      vmId: vm?.vmId ?? null,
      name: vm?.name ?? null,
      generation: vm?.generation ?? null,
      encrypted: vm?.encrypted ?? null,
      diskCount: vm?.diskCount ?? null,
      problem,
      registeredAs: names.get(folder) ?? null,
    }))
  }

  /**
   * Takes a VM into the inventory. Everything is checked first: that its providers are here, its KEKs can be had, and its host
   * opens every key record with them; a refusal leaves all as it was. Gives its ID.
   */
  async register(principal: Principal, request: RegisterVm): Promise<string> {
    const { database } = this.#work
    const datastore = await findDatastore(database, request.datastore)
    const { host } = await placeVm(
      this.#work,
      principal,
      { datastore: datastore.name, ...(request.host === undefined ? {} : { host: request.host }) },
      async () => true,
    )
    const connection = requireConnection(this.#work, host)
    const said = await inspect(connection, datastore, request.datastoreFolder)
    const found = { ...(await withPolicies(database, said)), name: request.name ?? said.name }
    const keys = keysOf(found)
    const tree = await FolderTree.read(database)
    const folder = tree.find(request.folder ?? '/', 'folder')
    await this.#requireFree(database, datastore, host, found)
    if (keys.length > 0) {
      requirePrivileges(principal, contentRules.registerEncrypted.privileges, tree.pathOf(folder?.id ?? null))
      await requireProviders(database, `VM ${found.name}`, keys)
      // That it could take keys is what is asked; none is made.
      const [{ provider }] = keys as [(typeof keys)[0]]
      await requireCapableHost(this.#work, host, found.name, { kind: 'new', provider }, principal)
    }
    await proveFound(this.#work, this.#handOver, { host, connection }, found, principal)
    try {
      await this.#record(principal, datastore, host, folder?.id ?? null, found)
    } catch (error) {
      await forgetUnneeded(database, this.#handOver, host.cluster_id, keys)
      throw error
    }
    for (const each of await hostsOfCluster(database, host.cluster_id)) this.#again(each.id)
    return found.vmId
  }

  /** Takes a VM out of the inventory; its files stay, and its KEKs stay in use. Throws `vm-busy`. */
  async unregister(principal: Principal, nameOrId: string): Promise<void> {
    const vm = await findVm(this.#work.database, nameOrId)
    requireIdle(vm)
    const keys = keysOf(authorityOf(vm))
    if (keys.length > 0) requirePrivileges(principal, contentRules.registerEncrypted.privileges, vm.objectPath)
    await this.#work.events.transaction(async (transaction, record) => {
      const now = await findVm(transaction, vm.row.id)
      requireIdle(now)
      requirePowerFor(now, 'unregister')
      const values = {
        name: vm.row.name,
        datastore_name: vm.datastoreName,
        folder: vm.row.folder,
        keys: JSON.stringify(keys),
        user_name: principal.name,
        unregistered_at: this.#work.clock(),
      }
      await transaction
        .insertInto('unregistered_vm')
        .values({ vm_id: vm.row.id, ...values })
        .onConflict((conflict) => conflict.column('vm_id').doUpdateSet(values))
        .execute()
      await transaction.deleteFrom('vm').where('id', '=', vm.row.id).execute()
      const needed = keys.length === 0 ? '' : `, and the keys ${keys.map(keyText).join(', ')} are still needed for them`
      const text = `VM ${vm.row.name} was taken out of the inventory. Its files stay in folder ${vm.row.folder} of datastore ${vm.datastoreName}${needed}: «vm register ${vm.datastoreName} ${vm.row.folder}» takes it in again`
      await record({ type: 'vm.unregistered', vm: vm.row.name, host: vm.hostName, user: principal.name, text })
    })
    await forgetUnneeded(this.#work.database, this.#handOver, vm.clusterId, keys)
  }

  /** Throws `already-exists` where the VM, its place, its name, a layer or a device of it is one of the inventory's. */
  async #requireFree(database: Database, datastore: DatastoreRow, host: HostRow, found: VmAuthority): Promise<void> {
    const same = await database
      .selectFrom('vm')
      .select(['name', 'folder'])
      .where('id', '=', found.vmId)
      .executeTakeFirst()
    const there = (await registeredIn(database, datastore)).get(found.folder)
    if (there !== undefined) {
      throw exists(
        'datastoreFolder',
        `VM ${there} of the inventory lies in folder ${found.folder} of ${datastore.name} already`,
      )
    }
    if (same !== undefined) {
      throw exists(
        'datastoreFolder',
        `the VM in ${found.folder} is a copy of VM ${same.name} (ID ${found.vmId}), which is in the inventory: two VMs must not share keys, layers and an ID. Make copies with «vm clone», or «vm unregister ${same.name}» if this one is to take its place`,
      )
    }
    await requireFreeName(database, found.name)
    const ids = found.disks.flatMap(({ diskId, layerId }) => [diskId, layerId])
    if (ids.length > 0) {
      const disk = await database
        .selectFrom('disk')
        .innerJoin('vm', 'vm.id', 'disk.vm_id')
        .select(['vm.name', 'disk.number'])
        .where((where) => where.or([where('disk.id', 'in', ids), where('disk.layer_id', 'in', ids)]))
        .executeTakeFirst()
      if (disk !== undefined) {
        throw exists(
          'datastoreFolder',
          `a disk of it is a copy of disk ${disk.number} of VM ${disk.name}: make copies with «vm clone»`,
        )
      }
    }
    for (const { device } of found.disks) {
      if (device !== undefined) await requireFreeDevice(database, host.cluster_id, device)
    }
  }

  async #record(
    principal: Principal,
    datastore: DatastoreRow,
    host: HostRow,
    folderId: string | null,
    found: VmAuthority,
  ): Promise<void> {
    const keys = keysOf(found)
    await this.#work.events.transaction(async (transaction, record) => {
      await this.#requireFree(transaction, datastore, host, found)
      // Since they were proven somebody may have ordered their end.
      await requireProviders(transaction, `VM ${found.name}`, keys)
      for (const key of keys) await requireNoOrder(transaction, key)
      const policy = await transaction
        .selectFrom('policy')
        .select(['id', 'version'])
        .where('name', '=', found.policy)
        .executeTakeFirstOrThrow()
      await orExists('name', 'another request has just registered it', () =>
        transaction
          .insertInto('vm')
          .values({
            id: found.vmId,
            name: found.name,
            host_id: host.id,
            datastore_id: datastore.id,
            folder_id: folderId,
            folder: found.folder,
            generation: found.generation,
            policy_id: policy.id,
            policy_version: policy.version,
            encryption: null,
            ...openNow,
            task_id: null,
            created_at: this.#work.clock(),
          })
          .execute(),
      )
      await storeAuthority(transaction, found)
      await adoptKeys(transaction, { id: found.vmId, name: found.name }, keys, this.#work.clock())
      await transaction.deleteFrom('unregistered_vm').where('vm_id', '=', found.vmId).execute()
      const [key] = keys
      const opened = key === undefined ? '' : `; it was opened with ${keys.map(keyText).join(', ')}`
      const text = `VM ${found.name} was registered on host ${host.name} from folder ${found.folder} of datastore ${datastore.name}: generation ${found.generation}, ${found.disks.length} disks${opened}`
      await record({
        type: 'vm.registered',
        vm: found.name,
        host: host.name,
        provider: key?.provider ?? null,
        keyId: key?.keyId ?? null,
        user: principal.name,
        text,
      })
    })
  }
}

/** The VMs of the inventory on a datastore: names by folder. */
export async function registeredIn(database: Database, { id }: Pick<DatastoreRow, 'id'>): Promise<Map<string, string>> {
  const rows = await database.selectFrom('vm').select(['folder', 'name']).where('datastore_id', '=', id).execute()
  return new Map(rows.map(({ folder, name }) => [folder, name]))
}

function exists(field: string, text: string): ControlPlaneError {
  return new ControlPlaneError('already-exists', `${field}: ${text}`, { field })
}
