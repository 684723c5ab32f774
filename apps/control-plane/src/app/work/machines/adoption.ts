import type { MachineStatus } from '@cryptvisor/host-agent-api'
import type { MachineRow } from '../../../database/machine-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import type { NewEvent } from '../../ports.ts'
import { isOn } from './machine-store.ts'
import type { ReportedVm } from './reported-vm.ts'

/** A lease is not further in the future than this: no honest clock is. A day, in milliseconds. */
const leaseAheadMsMax = 86_400_000

/**
 * Whether a machine that the database does not know of is its VM's own all the same: after a restore from a backup leases are
 * newer than what is on record, and one that was declared off may run still; nobody else was given the VM meanwhile.
 */
export function mayAdopt(
  host: HostRow,
  vm: ReportedVm,
  row: MachineRow | null,
  status: MachineStatus,
  now: number,
): boolean {
  if (vm.host_id !== host.id || vm.taskType !== null) return false
  if (status.lease > now + leaseAheadMsMax) return false
  if (row === null) return true
  if (status.lease > row.lease) return !isOn(row) || row.host_id === host.id
  return status.lease < row.lease && status.state !== 'off' && !isOn(row) && row.host_id === host.id
}

/** What is told of it. */
export function adoptedEvent(host: HostRow, vm: ReportedVm, status: MachineStatus): NewEvent {
  const text = `VM ${vm.name} is ${status.state} on host ${host.name}, and was not known to run: the control plane was restored, or somebody declared the VM off that was not. It counts as running there from now on`
  return { type: 'vm.found-running', vm: vm.name, host: host.name, text }
}
