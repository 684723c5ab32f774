import type { TaskTarget } from '@cryptvisor/control-plane-api'
import type { Transaction } from 'kysely'
import type { Schema, TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { insertTask } from '../tasks/task-store.ts'
import type { RecordWith, SagaDefinition, SagaState } from './definition.ts'
import { formatSagaContext } from './saga-context.ts'

/** What is to be begun. */
export interface NewSaga<State extends SagaState> {
  readonly definition: SagaDefinition<State>
  readonly target: TaskTarget
  readonly state: State
  readonly principal: Pick<Principal, 'name'>
  /**
   * Makes sure, in the transaction that writes the task, that what the request was checked by still holds, and takes
   * what the task needs for itself alone; throws `ControlPlaneError` otherwise.
   */
  readonly claim?: (transaction: Transaction<Schema>, taskId: string, record: RecordWith) => Promise<void>
}

/** Begins sagas of steps. */
export class Sagas {
  readonly #work: WorkContext
  readonly #runner: TaskRunner

  constructor(work: WorkContext, runner: TaskRunner) {
    this.#work = work
    this.#runner = runner
  }

  /** Writes the task and has it carried out. Its type has to be among those that the runner knows. */
  async begin<State extends SagaState>(saga: NewSaga<State>): Promise<TaskRow> {
    const { definition, target, state, principal, claim } = saga
    if (!this.#runner.knows(definition.type)) throw new Error(`no saga of the type ${definition.type} is known`)
    const context = formatSagaContext({ direction: 'forward', index: 0, state, failure: null })
    const row = await this.#work.events.transaction(async (transaction, record) => {
      const { type } = definition
      const task = { type, target, principal, context, step: 'queued', totalBytes: 0 }
      const inserted = await insertTask(transaction, this.#work.clock, task)
      await claim?.(transaction, inserted.id, record)
      return inserted
    })
    this.#runner.run(row, false)
    return row
  }
}

/**
 * Gives the VM to the task, in the transaction that writes the task; it is released when the saga ends. Throws `vm-busy`
 * when another task has it, and `not-found`.
 */
export async function claimVm(transaction: Transaction<Schema>, vmId: string, taskId: string): Promise<void> {
  const vm = await transaction.selectFrom('vm').select(['name', 'task_id']).where('id', '=', vmId).executeTakeFirst()
  if (vm === undefined) throw new ControlPlaneError('not-found', `there is no VM ${vmId}`)
  if (vm.task_id !== null) {
    throw new ControlPlaneError('vm-busy', `VM ${vm.name} is busy with task ${vm.task_id}: wait for it or cancel it`)
  }
  await transaction.updateTable('vm').set({ task_id: taskId }).where('id', '=', vmId).execute()
}
