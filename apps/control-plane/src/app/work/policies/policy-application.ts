import type { ApplyPlan, ApplyPolicies, Privilege } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pause } from '../../pause.ts'
import { Scope } from '../../permissions/scope.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import { getTask } from '../tasks/task-store.ts'
import { isOver } from '../tasks/task-view.ts'
import { findPolicy, findVm } from '../vms/lookup.ts'
import type { VmRequests } from '../vms/vm-requests.ts'
import { readVms, type VmRecord } from '../vms/vm-store.ts'
import { type ApplyStep, type PlannedVm, planApply } from './apply-plan.ts'
import type { PolicyPart } from './assessment.ts'
import { type Compliance, factsOf } from './compliance.ts'

/** Which VMs are brought into line, by whom. */
export interface Application {
  readonly vmIds: readonly string[]
}

export const applicationType = 'policy.apply'

/** So many VMs of a policy are brought into line at once. */
const vmsAtOnce = 4

/** No VM takes more tasks than that, unless somebody changes it meanwhile again and again. */
const roundsMax = 200

const neededFor = {
  encrypt: 'Cryptographer.Encrypt',
  decrypt: 'Cryptographer.Decrypt',
  rekey: 'Cryptographer.Recrypt',
} as const satisfies Record<string, Privilege>

/**
 * Brings VMs into line with their storage policies: by tasks that a user could have started, one after the other. What is left to
 * do follows from the database alone, so that this may be cut off anywhere and goes on.
 */
export class PolicyApplication {
  readonly #work: WorkContext
  readonly #compliance: Compliance
  readonly #principalOf: (user: string) => Promise<Principal>
  readonly #requests: () => VmRequests

  /** `principalOf`: somebody with what they may do now. `requests`: there when the first one is carried out. */
  constructor(
    work: WorkContext,
    compliance: Compliance,
    principalOf: (user: string) => Promise<Principal>,
    requests: () => VmRequests,
  ) {
    this.#work = work
    this.#principalOf = principalOf
    this.#compliance = compliance
    this.#requests = requests
  }

  /** What it would take, for each VM that is not in line and that `principal` may `privilege`. Throws `not-found`, `invalid`. */
  async plan(principal: Principal, privilege: Privilege, request: ApplyPolicies): Promise<PlannedVm[]> {
    const facts = await factsOf(this.#work.database, this.#work.clock())
    return (await this.#chosen(principal, privilege, request))
      .map((vm) => planApply(vm, facts))
      .filter(({ view: { steps, blocked } }) => steps.length > 0 || blocked.length > 0)
  }

  /** Throws `no-privilege` where a step would need what the user does not have. */
  requireFor(principal: Principal, plans: readonly PlannedVm[]): void {
    for (const { vm, steps } of plans) {
      const actions = new Set(steps.map(({ view: { action } }) => action))
      const needed = [...actions].flatMap((action) => (action === 'take-version' ? [] : [neededFor[action]]))
      requirePrivileges(principal, needed, vm.objectPath)
    }
  }

  /** What the runner has to know of it. */
  get saga(): SagaDefinition<Application> {
    return {
      type: applicationType,
      steps: [
        {
          name: 'bringing VMs into line with their storage policies',
          act: async (run) => {
            await this.#bringAll(run)
            return undefined
          },
        },
      ],
      succeed: async (_transaction, record, { state, user }) => {
        const count = state.vmIds.length
        const text = `${count === 1 ? 'A VM was' : `${count} VMs were`} brought into line with the storage policies`
        await record({ type: 'policy.applied', text, user })
      },
    }
  }

  async #chosen(principal: Principal, privilege: Privilege, { vm, policy }: ApplyPolicies): Promise<VmRecord[]> {
    if ((vm === undefined) === (policy === undefined)) {
      throw new ControlPlaneError('invalid', 'vm: give a VM, or a storage policy, whose VMs are meant', { field: 'vm' })
    }
    if (vm !== undefined) {
      const found = await findVm(this.#work.database, vm)
      requirePrivileges(principal, [privilege], found.objectPath)
      return [found]
    }
    const { id } = await findPolicy(this.#work.database, policy ?? '', 'policy')
    const scope = await Scope.of(this.#work.database, principal, privilege)
    return (await readVms(this.#work.database, { scope })).filter(
      ({ row, disks }) => row.policy_id === id || disks.some((disk) => disk.policy_id === id),
    )
  }

  async #bringAll(run: SagaRun<Application>): Promise<void> {
    const waiting = [...run.state.vmIds]
    const failures: string[] = []
    let doneCount = 0
    const bring = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        run.cancelling.throwIfAborted()
        const failure = await this.#bringOne(run, id)
        if (failure !== null) failures.push(failure)
        run.progress(++doneCount, run.state.vmIds.length)
      }
    }
    await Promise.all(Array.from({ length: vmsAtOnce }, bring))
    if (failures.length === 0) return
    const total = run.state.vmIds.length
    throw new ControlPlaneError(
      'agent-failed',
      `${failures.length} of ${total} ${total === 1 ? 'VM' : 'VMs'} could not be brought into line, the others were: ${failures.toSorted().join('; ')}`,
    )
  }

  /** Does one task after the other until nothing is left to do. Gives what went wrong; `null`: nothing. */
  async #bringOne(run: SagaRun<Application>, vmId: string): Promise<string | null> {
    const { database } = this.#work
    for (let round = 0; round < roundsMax; round++) {
      run.cancelling.throwIfAborted()
      const [vm] = await readVms(database, { id: vmId })
      if (vm === undefined) return null
      if (vm.row.task_id !== null) {
        // It may be one of ours, from before a restart.
        await this.#waitFor(vm.row.task_id)
        continue
      }
      const plan = planApply(vm, await factsOf(database, this.#work.clock(), [vm]))
      const [step] = plan.steps
      if (step === undefined) {
        await this.#takeVersions(plan.outOfDate)
        await this.#compliance.check([vmId])
        const failing = plan.view.blocked.filter(({ state }) => state === 'non-compliant')
        return failing.length === 0 ? null : `VM ${vm.row.name}: ${failing.map(({ text }) => text).join('; ')}`
      }
      const failure = await this.#doStep(run, vm, step)
      if (failure === 'again') continue
      if (failure !== null) return `VM ${vm.row.name}: ${failure}`
    }
    return `VM ${vmId}: somebody changed it again and again meanwhile`
  }

  async #doStep(run: SagaRun<Application>, { row }: VmRecord, step: ApplyStep): Promise<string | 'again' | null> {
    await run.step(`VM ${row.name}: ${step.view.text}`)
    try {
      const principal = await this.#principalOf(run.user)
      const task =
        step.kind === 'rekey'
          ? await this.#requests().rekey(principal, row.id, step.request)
          : await this.#requests().changePolicy(principal, row.id, step.request)
      const { state, error_message: message } = await this.#waitFor(task.id)
      return state === 'success' ? null : `${step.view.text}: ${message ?? 'it was cancelled'}`
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      return error.code === 'vm-busy' ? 'again' : `${step.view.text}: ${error.message}`
    }
  }

  async #waitFor(taskId: string): Promise<TaskRow> {
    for (;;) {
      const row = await getTask(this.#work.database, taskId)
      if (isOver(row)) return row
      await pause(this.#work.timings.pollMs, this.#work.stopping)
    }
  }

  /** The parts are as the policies say now; unless one was changed again just now. */
  async #takeVersions(parts: readonly PolicyPart[]): Promise<void> {
    await this.#work.database.transaction().execute(async (transaction) => {
      for (const { disk, policy, vmId } of parts) {
        const version = { policy_version: policy.version }
        const [vm, part] = [transaction.updateTable('vm'), transaction.updateTable('disk')]
        if (disk === null) await vm.set(version).where('id', '=', vmId).where('policy_id', '=', policy.id).execute()
        else await part.set(version).where('id', '=', disk.id).where('policy_id', '=', policy.id).execute()
      }
    })
  }
}

/** Plans as users see them. */
export const planViews = (plans: readonly PlannedVm[]): ApplyPlan[] => plans.map(({ view }) => view)
