import type { ComplianceReason, Vm } from '@cryptvisor/control-plane-api'
import type { DiskAuthority, EncryptionAuthority, KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import type { MachineRow } from '../../../database/machine-rows.ts'
import type { VmComplianceRow } from '../../../database/policy-rows.ts'
import type { DiskRow, VmRow } from '../../../database/schema.ts'
import { FolderTree } from '../../inventory/folder-tree.ts'
import { type ObjectPath, within } from '../../inventory/inventory-object.ts'
import { distinctKeys } from '../../key-reference.ts'
import type { Scope } from '../../permissions/scope.ts'
import type { Database } from '../context.ts'
import { machinesOf } from '../machines/machine-store.ts'

/** A VM with the names that its row has IDs for. */
export interface VmRecord {
  readonly row: VmRow
  readonly hostName: string
  readonly clusterId: string
  readonly clusterName: string
  readonly datastoreName: string
  readonly datastorePath: string
  readonly policy: string
  /** With its storage policies, as it was found last; `null`: it was not looked at yet. */
  readonly compliance: Vm['compliance']
  /** Of the inventory, as a path such as `/Sales`. */
  readonly folderName: string
  /** The VM with the folders that it lies in, for permissions. */
  readonly objectPath: ObjectPath
  readonly disks: readonly (DiskRow & { readonly policy: string })[]
  /** `null`: it was never started here. */
  readonly machine: MachineRow | null
}

/** Which VMs: by ID, by name, those of a host, those on which somebody has a privilege, or all. */
export interface VmSelection {
  readonly id?: string
  readonly name?: string
  readonly hostId?: string
  readonly scope?: Scope
  readonly ids?: readonly string[]
}

/** Reads VMs with their disks, by name. */
export async function readVms(database: Database, selection: VmSelection): Promise<VmRecord[]> {
  let select = database
    .selectFrom('vm')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .innerJoin('datastore', 'datastore.id', 'vm.datastore_id')
    .innerJoin('policy', 'policy.id', 'vm.policy_id')
    .leftJoin('vm_compliance', 'vm_compliance.vm_id', 'vm.id')
    .selectAll('vm')
    .select([
      'host.name as host_name',
      'cluster.id as cluster_id',
      'cluster.name as cluster_name',
      'datastore.name as datastore_name',
      'datastore.path as datastore_path',
      'policy.name as policy_name',
      'vm_compliance.state as compliance_state',
      'vm_compliance.reasons as compliance_reasons',
    ])
    .orderBy('vm.name')
  if (selection.id !== undefined) select = select.where('vm.id', '=', selection.id)
  if (selection.name !== undefined) select = select.where('vm.name', '=', selection.name)
  if (selection.hostId !== undefined) select = select.where('vm.host_id', '=', selection.hostId)
  if (selection.scope?.everywhere === false) select = select.where('vm.id', 'in', selection.scope.vmIds)
  if (selection.ids !== undefined) select = select.where('vm.id', 'in', selection.ids)
  const found = await select.execute()
  const tree = await FolderTree.read(database)
  let selectDisks = database
    .selectFrom('disk')
    .innerJoin('policy', 'policy.id', 'disk.policy_id')
    .selectAll('disk')
    .select('policy.name as policy')
    .orderBy('disk.number')
  const [only] = found
  if (found.length === 1 && only !== undefined) selectDisks = selectDisks.where('disk.vm_id', '=', only.id)
  else if (selection.ids !== undefined) selectDisks = selectDisks.where('disk.vm_id', 'in', selection.ids)
  else if (selection.hostId !== undefined) {
    const { hostId } = selection
    selectDisks = selectDisks.where('disk.vm_id', 'in', (where) =>
      where.selectFrom('vm').select('vm.id').where('vm.host_id', '=', hostId),
    )
  }
  const disks = found.length === 0 ? [] : await selectDisks.execute()
  const disksByVm = Map.groupBy(disks, (disk) => disk.vm_id)
  const machines = await machinesOf(
    database,
    found.map(({ id }) => id),
  )
  return found.map((row) => {
    const {
      host_name,
      cluster_id,
      cluster_name,
      datastore_name,
      datastore_path,
      policy_name,
      compliance_state,
      compliance_reasons,
      ...vm
    } = row
    return {
      row: vm,
      hostName: host_name,
      clusterId: cluster_id,
      clusterName: cluster_name,
      datastoreName: datastore_name,
      datastorePath: datastore_path,
      policy: policy_name,
      compliance: complianceOf(compliance_state, compliance_reasons),
      folderName: tree.nameOf(vm.folder_id),
      objectPath: within({ kind: 'vm', id: vm.id, name: vm.name }, tree.pathOf(vm.folder_id)),
      disks: disksByVm.get(vm.id) ?? [],
      machine: machines.get(vm.id) ?? null,
    }
  })
}

function complianceOf(state: VmComplianceRow['state'] | null, reasons: string | null): Vm['compliance'] {
  if (state === null || reasons === null) return null
  // Written by `Compliance`.
  return { state, reasons: (JSON.parse(reasons) as ComplianceReason[]).map(({ text }) => text) }
}

/** What the database says of a VM, as it goes with every call to an agent. */
export function authorityOf(vm: VmRecord): VmAuthority {
  return {
    vmId: vm.row.id,
    name: vm.row.name,
    datastorePath: vm.datastorePath,
    folder: vm.row.folder,
    generation: vm.row.generation,
    policy: vm.policy,
    encryption: parseEncryption(vm.row.encryption),
    disks: vm.disks.map(
      (disk): DiskAuthority => ({
        diskId: disk.id,
        number: disk.number,
        layerId: disk.layer_id,
        format: disk.format,
        payloadBytes: disk.payload_bytes,
        virtualBytes: disk.virtual_bytes,
        policy: disk.policy,
        encryption: parseEncryption(disk.encryption),
        ...(disk.device === null ? {} : { device: disk.device }),
      }),
    ),
  }
}

/**
 * Makes the database say what `authority` says, and notes which KEKs the VM is wrapped with, for as long as anybody asks; throws when it
 * names a policy that is not there.
 */
export async function storeAuthority(database: Database, authority: VmAuthority): Promise<void> {
  const policies = new Map(
    (await database.selectFrom('policy').select(['id', 'name', 'version']).execute()).map((row) => [row.name, row]),
  )
  const [before] = await readVms(database, { id: authority.vmId })
  /** The policy of that name; the version that was applied stays as long as the policy does. */
  const applied = (name: string, was: { readonly policy_id: string; readonly policy_version: number } | undefined) => {
    const policy = policies.get(name)
    if (policy === undefined) throw new Error(`there is no storage policy ${name}`)
    const version = was?.policy_id === policy.id ? was.policy_version : policy.version
    return { policy_id: policy.id, policy_version: version }
  }
  await database
    .updateTable('vm')
    .set({
      generation: authority.generation,
      ...applied(authority.policy, before?.row),
      encryption: formatEncryption(authority.encryption),
    })
    .where('id', '=', authority.vmId)
    .execute()
  const kept = authority.disks.map((disk) => disk.diskId)
  let removal = database.deleteFrom('disk').where('vm_id', '=', authority.vmId)
  if (kept.length > 0) removal = removal.where('id', 'not in', kept)
  await removal.execute()
  for (const disk of authority.disks) {
    const values = {
      number: disk.number,
      layer_id: disk.layerId,
      format: disk.format,
      payload_bytes: disk.payloadBytes,
      virtual_bytes: disk.virtualBytes,
      ...applied(
        disk.policy,
        before?.disks.find(({ id }) => id === disk.diskId),
      ),
      encryption: formatEncryption(disk.encryption),
      device: disk.device ?? null,
    }
    await database
      .insertInto('disk')
      .values({ id: disk.diskId, vm_id: authority.vmId, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  }
  for (const { provider, keyId } of keysOf(authority)) {
    await database
      .insertInto('vm_key')
      .values({ vm_id: authority.vmId, provider, key_id: keyId })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
}

/** Reads a column `encryption`. */
export function parseEncryption(text: string | null): EncryptionAuthority | null {
  // Written by `formatEncryption` from a value that was checked when it came from the agent.
  return text === null ? null : (JSON.parse(text) as EncryptionAuthority)
}

function formatEncryption(encryption: EncryptionAuthority | null): string | null {
  return encryption === null ? null : JSON.stringify(encryption)
}

/** Every KEK that VM Home or a disk of the VM needs. */
export function keysOf(vm: Pick<VmAuthority, 'encryption' | 'disks'>): KeyReference[] {
  return distinctKeys([...(vm.encryption?.keys ?? []), ...vm.disks.flatMap((disk) => disk.encryption?.keys ?? [])])
}
