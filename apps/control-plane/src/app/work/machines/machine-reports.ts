import type { MachineStatus } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { MachineRow } from '../../../database/machine-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import type { HostConnection } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { KeyedLock } from '../keyed-lock.ts'
import type { RecordWith } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import { adoptedEvent, mayAdopt } from './adoption.ts'
import { keepStrays } from './keep-strays.ts'
import { changeEvent } from './machine-events.ts'
import { machinesOf, storeStatus, updateMachine } from './machine-store.ts'
import { isToldByTask } from './power-task.ts'
import { type ReportedVm, reportedVms } from './reported-vm.ts'

const lostReason =
  'its host has no QEMU for it any more, and does not know how it ended: the host may have been restarted'

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
      const vms = await reportedVms(
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
      await keepStrays(transaction, record, host, { strays, vms, now: this.#work.clock() })
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
    if (!mayAdopt(host, vm, row, status, this.#work.clock())) return false
    await this.#store(transaction, host, status)
    if (status.state !== 'off') await record(adoptedEvent(host, vm, status))
    return true
  }

  async #store(transaction: Database, host: HostRow, status: MachineStatus): Promise<void> {
    await storeStatus(transaction, host.id, status, this.#work.clock())
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
      const vms = await reportedVms(
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
}
