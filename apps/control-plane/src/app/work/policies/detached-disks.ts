import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import type { DetachedDiskRow } from '../../../database/policy-rows.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Database } from '../context.ts'
import { parseEncryption, type VmRecord } from '../vms/vm-store.ts'

/** The layer that was detached; throws `not-found`. */
export async function findDetached(database: Database, layerId: string): Promise<DetachedDiskRow> {
  const row = await database.selectFrom('detached_disk').selectAll().where('layer_id', '=', layerId).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError(
    'not-found',
    `layer: there is no detached disk ${layerId}: «disk list --detached» shows those that are`,
    { field: 'layer' },
  )
}

/** Puts on record that a disk of a VM was detached, in the transaction that takes it from the VM. */
export async function insertDetached(
  database: Database,
  vm: VmRecord,
  diskId: string,
  by: { readonly user: string; readonly at: number },
): Promise<void> {
  const disk = vm.disks.find(({ id }) => id === diskId)
  if (disk === undefined) throw new Error(`VM ${vm.row.id} has no disk ${diskId}`)
  const row: DetachedDiskRow = {
    layer_id: disk.layer_id,
    disk_id: disk.id,
    datastore_id: vm.row.datastore_id,
    folder: vm.row.folder,
    number: disk.number,
    format: disk.format,
    payload_bytes: disk.payload_bytes,
    virtual_bytes: disk.virtual_bytes,
    encryption: disk.encryption,
    device: disk.device,
    vm_id: vm.row.id,
    vm_name: vm.row.name,
    detached_at: by.at,
    detached_by: by.user,
    task_id: null,
  }
  await database.insertInto('detached_disk').values(row).execute()
}

/** Takes the row of a layer for a task alone, in the transaction that writes the task. Throws `vm-busy`. */
export async function claimDetached(database: Database, layerId: string, taskId: string): Promise<DetachedDiskRow> {
  const row = await findDetached(database, layerId)
  if (row.task_id !== null) {
    throw new ControlPlaneError(
      'vm-busy',
      `layer: detached disk ${layerId} is attached or removed just now: task ${row.task_id}`,
      { field: 'layer' },
    )
  }
  await database.updateTable('detached_disk').set({ task_id: taskId }).where('layer_id', '=', layerId).execute()
  return row
}

/** Lets go of what a task took. */
export async function releaseDetached(database: Database, taskId: string): Promise<void> {
  await database.updateTable('detached_disk').set({ task_id: null }).where('task_id', '=', taskId).execute()
}

/** It is a disk of a VM again, or gone. */
export async function deleteDetached(database: Database, layerId: string): Promise<void> {
  await database.deleteFrom('detached_disk').where('layer_id', '=', layerId).execute()
}

/** The layer as a disk with another number and policy. */
export function diskOf(row: DetachedDiskRow, number: number, policy: string): DiskAuthority {
  return {
    diskId: row.disk_id,
    number,
    layerId: row.layer_id,
    format: row.format,
    payloadBytes: row.payload_bytes,
    virtualBytes: row.virtual_bytes,
    policy,
    encryption: parseEncryption(row.encryption),
    ...(row.device === null ? {} : { device: row.device }),
  }
}
