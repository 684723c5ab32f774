import { ControlPlaneError } from '../../control-plane-error.ts'
import type { WorkContext } from '../context.ts'
import { changePace } from '../tasks/task-pace.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'

/** Holds the data that deep rekeys of a run move while its window is closed; what a person paused stays paused. */
export class WindowPauses {
  readonly #work: WorkContext
  readonly #runner: TaskRunner

  constructor(work: WorkContext, runner: TaskRunner) {
    this.#work = work
    this.#runner = runner
  }

  /** Sees to it that the tasks of a run are held, or go on. One that moves no data just now is looked at again. */
  async keep(runId: string, held: boolean): Promise<void> {
    const items = await this.#work.database
      .selectFrom('campaign_item')
      .select(['vm_id', 'task_id', 'held'])
      .where('run_id', '=', runId)
      .where('state', '=', 'running')
      .execute()
    for (const { vm_id, task_id, held: isHeld } of items) {
      if (task_id === null) continue
      const paused = this.#runner.get(task_id)?.progress.paused === true
      if (held && !paused) {
        // On record first: whoever takes over resumes it.
        await this.#note(runId, vm_id, 1)
        if (!(await this.#pause(task_id)) && isHeld === 0) await this.#note(runId, vm_id, 0)
      } else if (!held && isHeld === 1) {
        await this.#resume(task_id)
        await this.#note(runId, vm_id, 0)
      }
    }
  }

  async #note(runId: string, vmId: string, held: 0 | 1): Promise<void> {
    await this.#work.database
      .updateTable('campaign_item')
      .set({ held })
      .where('run_id', '=', runId)
      .where('vm_id', '=', vmId)
      .execute()
  }

  #pause(taskId: string): Promise<boolean> {
    return this.#try(() =>
      changePace(this.#work, this.#runner, taskId, (agent, operation) => agent.pauseOperation(operation)),
    )
  }

  #resume(taskId: string): Promise<boolean> {
    return this.#try(() =>
      changePace(this.#work, this.#runner, taskId, (agent, operation) => agent.resumeOperation(operation)),
    )
  }

  /** Whether it could be done: a task that moves no data just now has nothing to hold. */
  async #try(change: () => Promise<unknown>): Promise<boolean> {
    try {
      await change()
      return true
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      if (!(error instanceof ControlPlaneError)) throw error
      return false
    }
  }
}
