import type { MachineStatus } from '@cryptvisor/host-agent-api'
import type { HostRow } from '../../../database/schema.ts'
import type { NewEvent } from '../../ports.ts'
import type { Database } from '../context.ts'
import type { RecordWith } from '../sagas/definition.ts'
import type { ReportedVm } from './reported-vm.ts'

interface FoundStrays {
  readonly strays: readonly MachineStatus[]
  /** Those of them that the inventory has. */
  readonly vms: ReadonlyMap<string, ReportedVm>
  readonly now: number
}

/** Puts on record what a host runs that is not its own to run; told once, until it is over. */
export async function keepStrays(
  transaction: Database,
  record: RecordWith,
  host: HostRow,
  { strays, vms, now }: FoundStrays,
): Promise<void> {
  const known = await transaction.selectFrom('stray_machine').selectAll().where('host_id', '=', host.id).execute()
  if (known.length === 0 && strays.length === 0) return
  await transaction.deleteFrom('stray_machine').where('host_id', '=', host.id).execute()
  for (const { vmId, lease, state, since } of strays) {
    await transaction
      .insertInto('stray_machine')
      .values({ host_id: host.id, vm_id: vmId, lease, state, since, reported_at: now })
      .execute()
    if (known.some((row) => row.vm_id === vmId && row.lease === lease)) continue
    await record(strayEvent(host, vmId, vms.get(vmId) ?? null))
  }
  if (strays.length > 0) return
  const text = `Host ${host.name} runs no VM any more that is not its own to run`
  await record({ type: 'host.stray-machine-gone', host: host.name, text })
}

function strayEvent(host: HostRow, vmId: string, vm: ReportedVm | null): NewEvent {
  const text =
    vm === null
      ? `Host ${host.name} runs a machine of VM ${vmId}, which is not in the inventory: register it («datastore browse», «vm register»), or end it on the host («host stop-machine ${host.name} ${vmId}»)`
      : `Host ${host.name} runs VM ${vm.name}, which is not its to run: another host may have it now, or had it later. Two that write the same disks destroy them: end it there («host stop-machine ${host.name} ${vm.name}»)`
  return { type: 'host.stray-machine', host: host.name, vm: vm?.name ?? null, text }
}
