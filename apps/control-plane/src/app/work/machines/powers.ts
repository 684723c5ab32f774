import type { ChangePower, DeclareOff, MigrateVm, PowerAction, PowerState } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { type ContentRule, contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { isLeaving, isOutOfUse } from '../hosts/host-lookup.ts'
import { cryptoOff } from '../keys/host-keys.ts'
import type { SagaDefinition, SagaState } from '../sagas/definition.ts'
import { claimVm, type Sagas } from '../sagas/sagas.ts'
import { requireCapableHost, requireConnection, requireIdle, requireNotStopped } from '../vms/change-request.ts'
import { findHost, findVm } from '../vms/lookup.ts'
import { authorityOf, keysOf, type VmRecord } from '../vms/vm-store.ts'
import { declareOff } from './declare-off.ts'
import { isOn } from './machine-store.ts'
import { type MigrationState, migrationSaga } from './migration-saga.ts'
import { migrationTarget, requireMigratable } from './migration-target.ts'
import { type PowerOnState, powerOnSaga } from './power-on-saga.ts'
import { unknownCure, wrongState } from './power-rules.ts'
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
  readonly #migration: SagaDefinition<MigrationState>
  #sagas: Sagas | null = null

  constructor(tools: PowerTools) {
    this.#work = tools.work
    this.#on = powerOnSaga(tools)
    this.#migration = migrationSaga(tools)
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
    return [this.#on, ...Object.values(this.#running), this.#migration]
  }

  /** Says who begins tasks; before anything is asked for. */
  use(sagas: Sagas): void {
    this.#sagas = sagas
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

  declareOff(principal: Principal, nameOrId: string, request: DeclareOff): Promise<void> {
    return declareOff(this.#work, principal, nameOrId, request)
  }

  /** Gives a VM that is off to another host of its cluster. */
  async migrate(principal: Principal, nameOrId: string, { host: name }: MigrateVm): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const host = await migrationTarget(this.#work, principal, vm, name)
    return this.#begin(
      this.#migration,
      vm,
      {
        vmId: vm.row.id,
        vmName: vm.row.name,
        fromId: vm.row.host_id,
        from: vm.hostName,
        hostId: host.id,
        hostName: host.name,
      },
      principal,
      (transaction, now) => requireMigratable(transaction, now, principal),
    )
  }

  async #powerOn(principal: Principal, vm: VmRecord): Promise<TaskRow> {
    const { database } = this.#work
    await this.#requireStartable(database, vm, principal)
    const host = await findHost(database, vm.row.host_id)
    const [key] = keysOf(authorityOf(vm))
    // Without keys it may run plain VMs.
    if (key === undefined ? isLeaving(host) : isOutOfUse(host)) throw cryptoOff(host)
    requireConnection(this.#work, host)
    if (key !== undefined) {
      await requireCapableHost(this.#work, host, vm.row.name, { kind: 'existing', key }, principal)
    }
    const state = { ...stateOf(vm), lease: null, asked: false }
    return this.#begin(this.#on, vm, state, principal, (transaction, now) =>
      this.#requireStartable(transaction, now, principal),
    )
  }

  async #requireStartable(database: Database, vm: VmRecord, principal: Principal): Promise<void> {
    if (isOn(vm.machine)) {
      throw wrongState(vm, vm.machine?.state === 'unknown' ? unknownCure(vm) : 'there is nothing to start')
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
    return this.#begin(this.#running[action], vm, state, principal, async (_transaction, now) => {
      requireSuitable(now, action)
      if (now.machine?.lease !== state.lease) throw changedNow(vm)
    })
  }

  /** Gives the VM to a task, provided that all still holds. */
  #begin<State extends SagaState>(
    definition: SagaDefinition<State>,
    vm: VmRecord,
    state: State,
    principal: Pick<Principal, 'name'>,
    check: (transaction: Database, now: VmRecord) => Promise<void>,
  ): Promise<TaskRow> {
    if (this.#sagas === null) throw new Error('nobody begins tasks yet')
    return this.#sagas.begin({
      definition,
      target: { kind: 'vm', id: vm.row.id, name: vm.row.name },
      state,
      principal,
      claim: async (transaction, taskId) => {
        const now = await findVm(transaction, vm.row.id)
        await claimVm(transaction, vm.row.id, taskId)
        if (now.row.host_id !== vm.row.host_id) throw changedNow(vm)
        await check(transaction, now)
      },
    })
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

function changedNow(vm: VmRecord): ControlPlaneError {
  return new ControlPlaneError('vm-busy', `VM ${vm.row.name} was changed at this very moment: look, and try again`)
}
