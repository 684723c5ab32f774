import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Database } from '../context.ts'
import { parseContext } from '../tasks/task-context.ts'

/**
 * Throws `already-exists` when a block device is a disk of a VM of the cluster, or a task is about to make it one: what two
 * VMs wrote to it, each would destroy.
 */
export async function requireFreeDevice(database: Database, clusterId: string, device: string): Promise<void> {
  const holder = await database
    .selectFrom('disk')
    .innerJoin('vm', 'vm.id', 'disk.vm_id')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .select(['vm.name', 'disk.number'])
    .where('disk.device', '=', device)
    .where('host.cluster_id', '=', clusterId)
    .executeTakeFirst()
  if (holder !== undefined) throw taken(`disk ${holder.number} of VM ${holder.name} lies on ${device} already`)
  const tasks = await database
    .selectFrom('task')
    .innerJoin('vm', 'vm.id', 'task.target_id')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .select(['task.id', 'task.context', 'vm.name'])
    .where('task.type', '=', 'vm.add-disk')
    .where('task.state', 'in', ['queued', 'running'])
    .where('host.cluster_id', '=', clusterId)
    .execute()
  for (const { id, context, name } of tasks) {
    const open = parseContext(context)
    if (open === null || open.phase === 'ended' || open.change.kind !== 'add-disk') continue
    if (open.change.disk.device === device) throw taken(`${device} becomes a disk of VM ${name} just now (task ${id})`)
  }
}

function taken(text: string): ControlPlaneError {
  return new ControlPlaneError('already-exists', `device: ${text}`, { field: 'device' })
}
