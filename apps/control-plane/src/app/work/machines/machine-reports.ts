import type { MachineStatus } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { MachineRow } from '../../../database/machine-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import type { HostConnection, NewEvent } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { RecordWith } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import { changeEvent } from './machine-events.ts'
import { isOn, machinesOf, storeStatus, updateMachine } from './machine-store.ts'
import { isToldByTask } from './power-task.ts'

/** A lease is not further in the future than this: no honest clock is. A day, in milliseconds. */
const leaseAheadMsMax = 86_400_000

const lostReason =
  'its host has no QEMU for it any more, and does not know how it ended: the host may have been restarted'

/** What of a VM is needed to judge a status. */
interface ReportedVm {
  readonly id: string
  readonly name: string
  readonly host_id: string
  /** The type of the task that has it; `null`: none has. */
  readonly taskType: string | null
}

/** Keeps what hosts say of the machines on them, and tells what nobody asked for. */
export class MachineReports {
  readonly #work: WorkContext
  readonly #locks = new KeyedLock()

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** When we start nothing is known of any machine. */
  async forgetAll(): Promise<void> {
    await this.#forget(null)
  }

  /** Nothing is known of the machines of a host that is not connected; nothing happens when it is back already. */
  async forget(host: Pick<HostRow, 'id'>): Promise<void> {
    await this.#locks.run(host.id, async () => {
      if (this.#work.hostConnections.get(host.id) === null) await this.#forget(host)
    })
  }

  async #forget(host: Pick<HostRow, 'id'> | null): Promise<void> {
    let update = this.#work.database
      .updateTable('machine')
      .set({ state: 'unknown', reason: 'its host is not connected', since: this.#work.clock() })
      .where('state', 'not in', ['off', 'unknown'])
    if (host !== null) update = update.where('host_id', '=', host.id)
    await update.execute()
  }

  /** Takes in what a host says of all its machines. One that it should have and does not name is asked for. */
  async report(host: HostRow, connection: HostConnection, machines: readonly MachineStatus[]): Promise<void> {
    const isTaken = await this.#locks.run(host.id, async () => {
      // Of a host that went away meanwhile nothing is known.
      if (this.#work.hostConnections.get(host.id)?.bootId !== connection.bootId) return false
      const missing = await this.#take(host, machines)
      if (missing.length > 0) await this.#lookFor(host, connection, missing)
      return true
    })
    if (isTaken) void this.#forgetEnded(connection, machines)
  }

  /** Asks a host how its machines are, and takes that in; one that is not connected tells by itself when it comes. */
  async askHost(hostId: string): Promise<void> {
    const connection = this.#work.hostConnections.get(hostId)
    if (connection === null) return
    const { machines } = await connection.client.machines()
    await this.report(await findHost(this.#work.database, hostId), connection, machines)
  }

  /** All in one transaction. Gives the machines that the host should have and did not name. */
  async #take(host: HostRow, machines: readonly MachineStatus[]): Promise<MachineRow[]> {
    return this.#work.events.transaction(async (transaction, record) => {
      const vms = await this.#vmsOf(
        transaction,
        machines.map(({ vmId }) => vmId),
      )
      const rows = await machinesOf(transaction, [...vms.keys()])
      const strays: MachineStatus[] = []
      for (const status of machines) {
        const vm = vms.get(status.vmId)
        const isOurs =
          vm !== undefined && (await this.#takeOne(transaction, record, host, vm, rows.get(vm.id) ?? null, status))
        if (!isOurs && status.state !== 'off') strays.push(status)
      }
      await this.#keepStrays(transaction, record, host, strays, vms)
      const named = new Set(machines.map(({ vmId }) => vmId))
      const expected = await transaction
        .selectFrom('machine')
        .selectAll()
        .where('host_id', '=', host.id)
        .where('state', 'not in', ['off', 'starting', 'stopping'])
        .execute()
      return expected.filter((row) => !named.has(row.vm_id))
    })
  }

  /** Whether the status is of a machine that is this host's to run. */
  async #takeOne(
    transaction: Database,
    record: RecordWith,
    host: HostRow,
    vm: ReportedVm,
    row: MachineRow | null,
    status: MachineStatus,
  ): Promise<boolean> {
    const lease = row?.lease ?? 0
    if (status.lease === lease && row?.host_id === host.id) {
      if (status.revision < row.revision) return true
      if (status.revision === row.revision && row.state !== 'unknown') return true
      await this.#store(transaction, host, status)
      // The same as before its host was away: no news.
      if (status.revision === row.revision) return true
      if (vm.taskType !== null && isToldByTask(vm.taskType, status.state)) return true
      const event = changeEvent({ vm: vm.name, host: host.name }, row.state, status)
      if (event !== null) await record(event)
      return true
    }
    if (!this.#mayAdopt(host, vm, row, status)) return false
    await this.#store(transaction, host, status)
    if (status.state !== 'off') await record(adoptedEvent(host, vm, status))
    return true
  }

  /**
   * Whether a machine that the database does not know of is its VM's own all the same: after a restore from a backup leases are
   * newer than what is on record, and one that was declared off may run still; nobody else was given the VM meanwhile.
   */
  #mayAdopt(host: HostRow, vm: ReportedVm, row: MachineRow | null, status: MachineStatus): boolean {
    if (vm.host_id !== host.id || vm.taskType !== null) return false
    if (status.lease > this.#work.clock() + leaseAheadMsMax) return false
    if (row === null) return true
    if (status.lease > row.lease) return !isOn(row) || row.host_id === host.id
    return status.lease < row.lease && status.state !== 'off' && !isOn(row) && row.host_id === host.id
  }

  async #store(transaction: Database, host: HostRow, status: MachineStatus): Promise<void> {
    await storeStatus(transaction, host.id, status, this.#work.clock())
  }

  /** What a host runs that is not its own to run; told once, until it is over. */
  async #keepStrays(
    transaction: Database,
    record: RecordWith,
    host: HostRow,
    strays: readonly MachineStatus[],
    vms: ReadonlyMap<string, ReportedVm>,
  ): Promise<void> {
    const known = await transaction.selectFrom('stray_machine').selectAll().where('host_id', '=', host.id).execute()
    if (known.length === 0 && strays.length === 0) return
    await transaction.deleteFrom('stray_machine').where('host_id', '=', host.id).execute()
    for (const { vmId, lease, state, since } of strays) {
      const reported = { host_id: host.id, vm_id: vmId, lease, state, since, reported_at: this.#work.clock() }
      await transaction.insertInto('stray_machine').values(reported).execute()
      if (known.some((row) => row.vm_id === vmId && row.lease === lease)) continue
      await record(strayEvent(host, vmId, vms.get(vmId) ?? null))
    }
    if (strays.length > 0) return
    const text = `Host ${host.name} runs no VM any more that is not its own to run`
    await record({ type: 'host.stray-machine-gone', host: host.name, text })
  }

  /** An answer says how it is now, whatever passed the report on its way. What did not change since is off. */
  async #lookFor(host: HostRow, connection: HostConnection, missing: readonly MachineRow[]): Promise<void> {
    let machines: readonly MachineStatus[]
    try {
      machines = (await connection.client.machines()).machines
    } catch (error) {
      if (!(error instanceof RestClientError)) throw error
      this.#work.log.warn({ err: error, host: host.id }, 'a host did not say how its machines are')
      return
    }
    const named = new Set(machines.map(({ vmId }) => vmId))
    await this.#take(host, machines)
    await this.#work.events.transaction(async (transaction, record) => {
      const vms = await this.#vmsOf(
        transaction,
        missing.map(({ vm_id: id }) => id),
      )
      const now = await machinesOf(transaction, [...vms.keys()])
      for (const before of missing) {
        const row = now.get(before.vm_id)
        const vm = vms.get(before.vm_id)
        if (row === undefined || vm === undefined || named.has(row.vm_id)) continue
        if (row.lease !== before.lease || row.revision !== before.revision || row.state !== before.state) continue
        await updateMachine(transaction, row.vm_id, row.lease, {
          ...{ state: 'off', reason: lostReason, since: this.#work.clock() },
        })
        if (vm.taskType !== null && isToldByTask(vm.taskType, 'off')) continue
        const ended = { state: 'off', ended: 'broken', reason: lostReason } as const
        const event = changeEvent({ vm: vm.name, host: host.name }, row.state, ended)
        if (event !== null) await record(event)
      }
    })
  }

  /** The ends are on record: the agent need not keep them. It refuses for one that runs again, and is told again with the next report. */
  async #forgetEnded(connection: HostConnection, machines: readonly MachineStatus[]): Promise<void> {
    for (const { vmId, state } of machines) {
      if (state !== 'off') continue
      try {
        await connection.client.forgetMachine(vmId)
      } catch (error) {
        if (this.#work.stopping.aborted) return
        this.#work.log.warn({ err: error, vm: vmId }, 'an agent did not forget a machine that ended')
      }
    }
  }

  async #vmsOf(transaction: Database, ids: readonly string[]): Promise<Map<string, ReportedVm>> {
    if (ids.length === 0) return new Map()
    const rows = await transaction
      .selectFrom('vm')
      .leftJoin('task', 'task.id', 'vm.task_id')
      .select(['vm.id', 'vm.name', 'vm.host_id', 'task.type as taskType'])
      .where('vm.id', 'in', ids)
      .execute()
    return new Map(rows.map((row) => [row.id, row]))
  }
}

function adoptedEvent(host: HostRow, vm: ReportedVm, status: MachineStatus): NewEvent {
  const text = `VM ${vm.name} is ${status.state} on host ${host.name}, and was not known to run: the control plane was restored, or somebody declared the VM off that was not. It counts as running there from now on`
  return { type: 'vm.found-running', vm: vm.name, host: host.name, text }
}

function strayEvent(host: HostRow, vmId: string, vm: ReportedVm | null): NewEvent {
  const text =
    vm === null
      ? `Host ${host.name} runs a machine of VM ${vmId}, which is not in the inventory: register it («datastore browse», «vm register»), or end it on the host («host stop-machine ${host.name} ${vmId}»)`
      : `Host ${host.name} runs VM ${vm.name}, which is not its to run: another host may have it now, or had it later. Two that write the same disks destroy them: end it there («host stop-machine ${host.name} ${vm.name}»)`
  return { type: 'host.stray-machine', host: host.name, vm: vm?.name ?? null, text }
}
