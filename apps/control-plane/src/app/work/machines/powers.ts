import type { ChangePower, PowerAction, PowerState } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { type ContentRule, contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { isOutOfUse } from '../hosts/host-lookup.ts'
import { cryptoOff } from '../keys/host-keys.ts'
import type { SagaDefinition, SagaState } from '../sagas/definition.ts'
import type { Sagas } from '../sagas/sagas.ts'
import { requireCapableHost, requireConnection, requireIdle, requireNotStopped } from '../vms/change-request.ts'
import { findHost, findVm } from '../vms/lookup.ts'
import { authorityOf, keysOf, type VmRecord } from '../vms/vm-store.ts'
import { beginOnVm, changedNow } from './begin-on-vm.ts'
import { isOn } from './machine-store.ts'
import { type PowerOnState, powerOnSaga } from './power-on-saga.ts'
import { notOff } from './power-rules.ts'
import { type PowerChangeState, powerSaga, type RunningAction } from './power-saga.ts'
import type { PowerTools } from './power-tools.ts'
import { requireNoStray } from './stray-machines.ts'

/** What each action needs on the VM. */
const actionRules: Readonly<Record<PowerAction, ContentRule>> = {
  'power-on': contentRules.powerOn,
  'power-off': contentRules.powerOff,
  'shut-down': contentRules.powerOff,
  reset: contentRules.reset,
  pause: contentRules.suspend,
  resume: contentRules.powerOn,
}

/** In which states there is sense in an action; `unknown` on a connected host: it may be in any. */
const suitable: Readonly<Record<RunningAction, readonly PowerState[]>> = {
  'power-off': ['starting', 'running', 'paused', 'stopping', 'failed', 'unknown'],
  'shut-down': ['running', 'unknown'],
  reset: ['running', 'failed', 'unknown'],
  pause: ['running', 'unknown'],
  resume: ['paused', 'failed', 'unknown'],
}

/** The power of VMs: what users ask for becomes a task when everything was checked. */
export class Powers {
  readonly #work: WorkContext
  readonly #on: SagaDefinition<PowerOnState>
  readonly #running: Readonly<Record<RunningAction, SagaDefinition<PowerChangeState>>>
  #sagas: Sagas | null = null

  constructor(tools: PowerTools) {
    this.#work = tools.work
    this.#on = powerOnSaga(tools)
    this.#running = {
      'power-off': powerSaga(tools, 'power-off'),
      'shut-down': powerSaga(tools, 'shut-down'),
      reset: powerSaga(tools, 'reset'),
      pause: powerSaga(tools, 'pause'),
      resume: powerSaga(tools, 'resume'),
    }
  }

  /** The kinds of its tasks, for whoever carries tasks out. */
  get definitions(): readonly SagaDefinition<SagaState>[] {
    return [this.#on, ...Object.values(this.#running)]
  }

  /** Says who begins tasks; before anything is asked for. */
  use(sagas: Sagas): void {
    this.#sagas = sagas
  }

  get #sagasNow(): Sagas {
    if (this.#sagas === null) throw new Error('nobody begins tasks yet')
    return this.#sagas
  }

  async change(principal: Principal, nameOrId: string, { action }: ChangePower): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    requirePrivileges(principal, actionRules[action].privileges, vm.objectPath)
    requireIdle(vm)
    return action === 'power-on' ? this.#powerOn(principal, vm) : this.#change(principal, vm, action, null)
  }

  /** Powers a VM off for a reason of ours; `null`: its host cannot be asked, or a task has it. */
  async stop(vm: VmRecord, why: string): Promise<TaskRow | null> {
    if (vm.row.task_id !== null || this.#work.hostConnections.get(vm.row.host_id) === null) return null
    try {
      return await this.#change({ name: 'system' }, vm, 'power-off', why)
    } catch (error) {
      if (error instanceof ControlPlaneError && error.code === 'vm-busy') return null
      throw error
    }
  }

  async #powerOn(principal: Principal, vm: VmRecord): Promise<TaskRow> {
    const { database } = this.#work
    await this.#requireStartable(database, vm, principal)
    const host = await findHost(database, vm.row.host_id)
    const [key] = keysOf(authorityOf(vm))
    if (key === undefined) {
      if (host.decommissioned_at !== null || host.leaving_task_id !== null) throw cryptoOff(host)
      requireConnection(this.#work, { id: host.id, name: host.name })
    } else {
      if (isOutOfUse(host)) throw cryptoOff(host)
      requireConnection(this.#work, { id: host.id, name: host.name })
      await requireCapableHost(this.#work, host, vm.row.name, { kind: 'existing', key }, principal)
    }
    const state = { ...stateOf(vm), lease: null, asked: false }
    const check = (transaction: Database, now: VmRecord) => this.#requireStartable(transaction, now, principal)
    return beginOnVm(this.#sagasNow, { definition: this.#on, vm, state, principal, check })
  }

  async #requireStartable(database: Database, vm: VmRecord, principal: Principal): Promise<void> {
    if (isOn(vm.machine)) {
      const cure =
        vm.machine?.state === 'unknown'
          ? `start the agent of its host, or, where that machine is certainly off, «vm declare-off ${vm.row.name}»`
          : 'there is nothing to start'
      throw notOff(vm, cure)
    }
    await requireNotStopped(database, vm)
    await requireNoStray(database, vm, principal)
  }

  async #change(
    principal: Pick<Principal, 'name'>,
    vm: VmRecord,
    action: RunningAction,
    why: string | null,
  ): Promise<TaskRow> {
    requireSuitable(vm, action)
    requireAnswering(this.#work, vm)
    const state = { ...stateOf(vm), lease: vm.machine?.lease ?? 0, why }
    const check = async (_transaction: Database, now: VmRecord) => {
      requireSuitable(now, action)
      if (now.machine?.lease !== state.lease) throw changedNow(vm)
    }
    return beginOnVm(this.#sagasNow, { definition: this.#running[action], vm, state, principal, check })
  }
}

const stateOf = ({ row, hostName }: VmRecord) => ({
  ...{ vmId: row.id, vmName: row.name },
  ...{ hostId: row.host_id, hostName },
})

function requireSuitable(vm: VmRecord, action: RunningAction): void {
  const state = vm.machine?.state ?? 'off'
  if (suitable[action].includes(state)) return
  const cure = state === 'off' ? `start it with «vm power-on ${vm.row.name}»` : 'see «vm show» for what can be done'
  throw new ControlPlaneError('wrong-power-state', `VM ${vm.row.name} is ${state}, so there is no «${action}»: ${cure}`)
}

/** Throws `host-disconnected`: only the host that runs a VM can change that. */
function requireAnswering(work: WorkContext, { row, hostName }: VmRecord): void {
  if (work.hostConnections.get(row.host_id) !== null) return
  throw new ControlPlaneError(
    'host-disconnected',
    `host ${hostName} is not connected, so nobody can reach VM ${row.name}, which may be running: start its agent, see «host list», and try again; where that machine is certainly off, «vm declare-off ${row.name}»`,
  )
}
