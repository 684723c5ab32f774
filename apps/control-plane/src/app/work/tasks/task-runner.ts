import type { TaskRow } from '../../../database/schema.ts'
import { pause } from '../../pause.ts'
import { isRehearsed, noteEffect } from '../../rehearsal.ts'
import type { WorkContext } from '../context.ts'
import { retryDelayMs } from '../retry-delay.ts'
import type { SagaDefinition, SagaState } from '../sagas/definition.ts'
import { StepSaga } from '../sagas/step-saga.ts'
import type { TaskEnding } from './ending.ts'
import { planLines } from './plan-text.ts'
import type { KeyServices } from './preparation.ts'
import { Saga } from './saga.ts'
import { parseContext } from './task-context.ts'
import { TaskRun } from './task-run.ts'
import { unfinishedTasks } from './task-store.ts'

interface Running {
  readonly run: TaskRun
  readonly ended: Promise<void>
}

/** Carries tasks out, each by itself, those of different VMs at once. */
export class TaskRunner {
  readonly #work: WorkContext
  readonly #keys: KeyServices
  readonly #ending: TaskEnding
  readonly #sagas: ReadonlyMap<string, SagaDefinition<SagaState>>
  readonly #running = new Map<string, Running>()

  /** `sagas`: the kinds of tasks that are no change of one VM. */
  constructor(work: WorkContext, keys: KeyServices, ending: TaskEnding, sagas: readonly SagaDefinition<SagaState>[]) {
    this.#work = work
    this.#keys = keys
    this.#ending = ending
    this.#sagas = new Map(sagas.map((saga) => [saga.type, saga]))
  }

  /** Whether there are sagas of steps of this type. */
  knows(type: string): boolean {
    return this.#sagas.has(type)
  }

  /** Takes up every task that has something left to do. */
  async start(): Promise<void> {
    for (const row of await unfinishedTasks(this.#work.database)) this.run(row, true)
  }

  /** Begins a task, or takes it up again (`resumed`). In a dry run it says what the task would do, after `notes`. */
  run(row: TaskRow, resumed: boolean, notes: readonly string[] = []): void {
    if (this.#running.has(row.id)) return
    if (isRehearsed()) {
      const text = `task ${row.type} of ${row.target_kind} ${row.target_name}`
      noteEffect({ kind: 'task', type: row.type, text, lines: [...notes, ...this.#linesOf(row)] })
      return
    }
    const run = new TaskRun(this.#work, row.id)
    this.#work.log.info({ task: row.id, type: row.type, target: row.target_id, resumed }, 'a task is carried out')
    if (row.cancel_requested === 1) run.cancel()
    const ended = this.#toEnd(run, row.type, resumed).finally(() => {
      run.content.close()
      this.#running.delete(row.id)
    })
    this.#running.set(row.id, { run, ended })
  }

  #linesOf(row: TaskRow): string[] {
    const saga = this.#sagas.get(row.type)
    if (saga !== undefined) return saga.steps.map(({ name }) => name)
    const context = parseContext(row.context)
    return context === null || context.phase === 'ended' ? [] : planLines(context.change, context.key)
  }

  /** The task while it is carried out; `null`: it is over. */
  get(taskId: string): TaskRun | null {
    return this.#running.get(taskId)?.run ?? null
  }

  /** Resolves when the task is over, or given up because the control plane stops. */
  async ended(taskId: string): Promise<void> {
    await this.#running.get(taskId)?.ended
  }

  /** Resolves when no task is carried out any more. */
  async stopped(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
  }

  /** What fails for no fault of the task's own, such as a full disk, is taken up again and again. */
  async #toEnd(run: TaskRun, type: string, resumed: boolean): Promise<void> {
    const saga = this.#sagas.get(type)
    for (let failureCount = 0; !this.#work.stopping.aborted; failureCount++) {
      try {
        if (saga !== undefined) await new StepSaga(this.#work, saga, run).toEnd()
        else await new Saga(this.#work, this.#keys, this.#ending, run).toEnd(resumed || failureCount > 0)
        this.#work.log.info({ task: run.id }, 'a task is over')
        return
      } catch (error) {
        if (this.#work.stopping.aborted) return
        this.#work.log.error({ err: error, task: run.id }, 'a task cannot go on; it is tried again')
        await pause(retryDelayMs(this.#work.timings, failureCount), this.#work.stopping).catch(() => undefined)
      }
    }
  }
}
