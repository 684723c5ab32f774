import type { MachineStatus } from '@cryptvisor/host-agent-api'
import type { MachineRow } from '../../../database/machine-rows.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Database } from '../context.ts'
import type { VmRecord } from '../vms/vm-store.ts'

/** The most IDs that one query names. */
const idsMax = 1_000

/** The machine of a VM; `null`: it was never started here. */
export async function machineOf(database: Database, vmId: string): Promise<MachineRow | null> {
  return (await database.selectFrom('machine').selectAll().where('vm_id', '=', vmId).executeTakeFirst()) ?? null
}

/** The machines of VMs, by VM ID. */
export async function machinesOf(database: Database, vmIds: readonly string[]): Promise<Map<string, MachineRow>> {
  if (vmIds.length === 0) return new Map()
  let select = database.selectFrom('machine').selectAll()
  if (vmIds.length <= idsMax) select = select.where('vm_id', 'in', vmIds)
  return new Map((await select.execute()).map((row) => [row.vm_id, row]))
}

/** Whether a QEMU of the VM runs, or may run. */
export function isOn(machine: Pick<MachineRow, 'state'> | null): boolean {
  return machine !== null && machine.state !== 'off'
}

/** The names of the VMs that run on a host, or may; by name. */
export async function runningOn(database: Database, hostId: string): Promise<string[]> {
  const rows = await database
    .selectFrom('machine')
    .innerJoin('vm', 'vm.id', 'machine.vm_id')
    .select('vm.name')
    .where('machine.host_id', '=', hostId)
    .where('machine.state', '!=', 'off')
    .orderBy('vm.name')
    .execute()
  return rows.map(({ name }) => name)
}

/** Writes what a host says of a machine that it has the lease of. */
export async function storeStatus(
  database: Database,
  hostId: string,
  status: MachineStatus,
  reportedAt: number,
): Promise<void> {
  const { lease, state, reason, since, revision, acceleration, qemu } = status
  const values = {
    ...{ host_id: hostId, lease, state, reason, since, revision, acceleration, qemu },
    reported_at: reportedAt,
  }
  await database
    .insertInto('machine')
    .values({ vm_id: status.vmId, ...values })
    .onConflict((conflict) => conflict.column('vm_id').doUpdateSet(values))
    .execute()
}

/**
 * The number of the next lease: one more than the one before, and at least the time, since a control plane that was restored from a
 * backup does not know the last ones.
 */
export function nextLease(before: Pick<MachineRow, 'lease'> | null, now: number): number {
  return Math.max((before?.lease ?? 0) + 1, now)
}

/** The VM counts as off, and whatever runs under its lease of before is not its machine any more. */
export async function voidLease(database: Database, machine: MachineRow, reason: string, now: number): Promise<void> {
  await database
    .updateTable('machine')
    .set({ lease: nextLease(machine, now), state: 'off', reason, since: now, revision: -1 })
    .where('vm_id', '=', machine.vm_id)
    .execute()
}

/** Changes the machine of a VM, provided that its lease is this one. */
export async function updateMachine(
  database: Database,
  vmId: string,
  lease: number,
  change: Partial<Pick<MachineRow, 'state' | 'reason' | 'since'>>,
): Promise<void> {
  await database.updateTable('machine').set(change).where('vm_id', '=', vmId).where('lease', '=', lease).execute()
}

/** Writes what a host answered under the lease, unless it has said something newer since. */
export async function takeAnswer(
  database: Database,
  hostId: string,
  status: MachineStatus,
  now: number,
): Promise<void> {
  const { state, reason, since, revision, acceleration, qemu } = status
  await database
    .updateTable('machine')
    .set({ state, reason, since, revision, acceleration, qemu, reported_at: now })
    .where('vm_id', '=', status.vmId)
    .where('host_id', '=', hostId)
    .where('lease', '=', status.lease)
    .where('revision', '<=', revision)
    .execute()
}

/**
 * Lets the VM's host start it under `lease`; the same again changes nothing. Throws `wrong-power-state` where it runs, or may, under
 * another one.
 */
export async function takeLease(
  transaction: Database,
  { row }: Pick<VmRecord, 'row'>,
  lease: number,
  now: number,
): Promise<void> {
  const before = await machineOf(transaction, row.id)
  if (before?.lease === lease) return
  if (isOn(before) || (before?.lease ?? 0) > lease) {
    throw new ControlPlaneError(
      'wrong-power-state',
      `VM ${row.name} was started at this very moment: see «vm show ${row.name}»`,
    )
  }
  const values: Omit<MachineRow, 'vm_id'> = {
    ...{ host_id: row.host_id, lease, reason: null, since: now, revision: -1 },
    ...{ acceleration: null, qemu: null, reported_at: null },
    state: 'starting',
  }
  await transaction
    .insertInto('machine')
    .values({ vm_id: row.id, ...values })
    .onConflict((conflict) => conflict.column('vm_id').doUpdateSet(values))
    .execute()
}
