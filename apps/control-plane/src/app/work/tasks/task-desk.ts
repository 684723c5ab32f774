import type { Task, TaskSpeed, TaskState } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { Scope } from '../../permissions/scope.ts'
import type { Principal } from '../../ports.ts'
import { isRehearsed } from '../../rehearsal.ts'
import type { WorkContext } from '../context.ts'
import { changePace } from './task-pace.ts'
import type { TaskRunner } from './task-runner.ts'
import { getTask, listTasks, updateTask } from './task-store.ts'
import { taskView } from './task-view.ts'

/** Tasks as users see and steer them. Every method but `list` throws `not-found`. */
export class TaskDesk {
  readonly #work: WorkContext
  readonly #runner: TaskRunner

  constructor(work: WorkContext, runner: TaskRunner) {
    this.#work = work
    this.#runner = runner
  }

  /** Those of what `principal` may see, and `principal`'s own; the newest first. */
  async list(
    principal: Principal,
    query: { readonly vm?: string; readonly state?: TaskState; readonly limit?: number },
  ): Promise<Task[]> {
    const { database } = this.#work
    const scope = await Scope.of(database, principal, 'System.Read')
    return (await listTasks(database, { ...query, scope, user: principal.name })).map((row) => this.view(row))
  }

  async show(id: string): Promise<Task> {
    return this.view(await getTask(this.#work.database, id))
  }

  /** Asks a task to stop. It ends as cancelled with all as it was, or as a success when it was too late. */
  async cancel(id: string): Promise<Task> {
    const { database } = this.#work
    const row = await getTask(database, id)
    if (row.state === 'queued' || row.state === 'running') {
      await updateTask(database, id, { cancel_requested: 1 })
      if (!isRehearsed()) this.#runner.get(id)?.cancel()
    }
    return this.show(id)
  }

  /** Has the task move no data until it is resumed. */
  async pause(id: string): Promise<Task> {
    return this.view(await changePace(this.#work, this.#runner, id, (agent, at) => agent.pauseOperation(at)))
  }

  async resume(id: string): Promise<Task> {
    return this.view(await changePace(this.#work, this.#runner, id, (agent, at) => agent.resumeOperation(at)))
  }

  /** Limits how fast the task may move data from now on. */
  async limit(id: string, speed: TaskSpeed): Promise<Task> {
    return this.view(await changePace(this.#work, this.#runner, id, (agent, at) => agent.limitOperation(at, speed)))
  }

  /** A task's row, with how far it is just now. */
  view(row: TaskRow): Task {
    return taskView(row, this.#runner.get(row.id)?.progress ?? null)
  }
}
