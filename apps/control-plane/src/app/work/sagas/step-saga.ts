import type { Transaction } from 'kysely'
import type { Schema } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pause } from '../../pause.ts'
import type { WorkContext } from '../context.ts'
import { retryDelayMs } from '../retry-delay.ts'
import { emptyContext, type Failure } from '../tasks/task-context.ts'
import { CancelledError, type TaskRun } from '../tasks/task-run.ts'
import { updateTask } from '../tasks/task-store.ts'
import type { RecordWith, SagaDefinition, SagaRun, SagaState, SagaStep } from './definition.ts'
import { formatSagaContext, parseSagaContext, type SagaContext } from './saga-context.ts'

/** A step that fails so often for a fault of ours is given up. */
const faultsMax = 5

/**
 * Carries one saga of steps out, from wherever it stands. What it does next is in the database before it does it, and so
 * is what it undoes next: killed at any point, it goes on there after the next start.
 */
export class StepSaga {
  readonly #work: WorkContext
  readonly #definition: SagaDefinition<SagaState>
  readonly #run: TaskRun

  constructor(work: WorkContext, definition: SagaDefinition<SagaState>, run: TaskRun) {
    this.#work = work
    this.#definition = definition
    this.#run = run
  }

  /** Brings the task to its end. Throws when the control plane stops, and for failures of the database. */
  async toEnd(): Promise<void> {
    for (;;) {
      const row = await this.#run.row()
      if (row.context === emptyContext) return
      if (row.state === 'queued') {
        await updateTask(this.#work.database, row.id, { state: 'running', started_at: this.#work.clock() })
      }
      const context = parseSagaContext(row.context)
      const step = this.#definition.steps[context.index]
      const run = this.#runOf(row.user_name, context)
      if (context.direction === 'forward') {
        if (step === undefined) return this.#succeed(run)
        await this.#act(step, context, run)
      } else if (step === undefined) {
        return this.#failed(run, context.failure ?? cancelled)
      } else {
        await this.#undo(step, context, run)
      }
    }
  }

  /** Whether the step at `index` cannot be taken back any more. */
  #isForwardOnly(index: number): boolean {
    return this.#definition.steps.slice(0, index + 1).some(({ forward }) => forward === true)
  }

  async #act(step: SagaStep<SagaState>, context: SagaContext, run: OneRun): Promise<void> {
    const forwardOnly = this.#isForwardOnly(context.index)
    try {
      if (!forwardOnly) this.#run.throwIfCancelled()
      await run.step(step.name)
      const change = forwardOnly ? await this.#insist(step.name, run, () => step.act(run)) : await step.act(run)
      await this.#save({ ...run.context, index: context.index + 1, state: { ...run.state, ...change } })
      this.#run.faultCount = 0
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      if (forwardOnly) throw error
      // A full disk, say, is no reason to take anything back: whoever carries tasks out tries the step again.
      const isTold = error instanceof ControlPlaneError || this.#run.cancelling.aborted
      if (!isTold && this.#run.faultCount++ < faultsMax) throw error
      await this.#save({ ...run.context, direction: 'back', failure: this.#failureOf(error) })
    }
  }

  async #undo(step: SagaStep<SagaState>, context: SagaContext, run: OneRun): Promise<void> {
    const { undo } = step
    if (undo !== undefined) {
      const text = `undoing: ${step.name}`
      await run.step(text)
      await this.#insist(text, run, () => undo.call(step, run))
    }
    await this.#save({ ...run.context, index: context.index - 1 })
  }

  /** Does what there is no way back from until it is done; the task says what it waits for. */
  async #insist<Result>(text: string, run: OneRun, act: () => Promise<Result>): Promise<Result> {
    for (let failureCount = 0; ; failureCount++) {
      try {
        return await act()
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        if (!(error instanceof ControlPlaneError)) throw error
        await run.step(`${text}: ${error.message}. It is tried again until it works`)
        await pause(retryDelayMs(this.#work.timings, failureCount), this.#work.stopping)
      }
    }
  }

  async #succeed(run: OneRun): Promise<void> {
    await this.#end(null, (transaction, record) => this.#definition.succeed?.(transaction, record, run))
    await this.#afterwards(run, null)
  }

  async #failed(run: OneRun, failure: Failure): Promise<void> {
    await this.#end(failure, (transaction, record) => this.#definition.failed?.(transaction, record, run, failure))
    await this.#afterwards(run, failure)
  }

  async #afterwards(run: OneRun, failure: Failure | null): Promise<void> {
    try {
      await this.#definition.ended?.(run, failure)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      this.#work.log.warn({ err: error, task: run.taskId }, 'what is done after a task failed')
    }
  }

  async #end(
    failure: Failure | null,
    also: (transaction: Transaction<Schema>, record: RecordWith) => Promise<void> | undefined,
  ): Promise<void> {
    const { id } = this.#run
    const { doneBytes, totalBytes } = this.#run.progress
    await this.#work.events.transaction(async (transaction, record) => {
      await also(transaction, (event) => record({ task: id, ...event }))
      await transaction.updateTable('vm').set({ task_id: null }).where('task_id', '=', id).execute()
      await updateTask(transaction, id, {
        state: failure?.state ?? 'success',
        ...(failure === null ? { step: 'done' } : {}),
        done_bytes: doneBytes,
        total_bytes: totalBytes,
        error_code: failure?.code ?? null,
        error_message: failure?.message ?? null,
        ended_at: this.#work.clock(),
        context: emptyContext,
      })
    })
  }

  #runOf(user: string, context: SagaContext): OneRun {
    const forwardOnly = context.direction === 'back' || this.#isForwardOnly(context.index)
    const cancelling = forwardOnly ? new AbortController().signal : this.#run.cancelling
    return new OneRun(this.#run, user, cancelling, context, (saved) => this.#save(saved))
  }

  async #save(context: SagaContext): Promise<void> {
    await updateTask(this.#work.database, this.#run.id, { context: formatSagaContext(context) })
  }

  #failureOf(error: unknown): Failure {
    if (error instanceof CancelledError || this.#run.cancelling.aborted) return cancelled
    if (error instanceof ControlPlaneError) return { state: 'error', code: error.code, message: error.message }
    this.#work.log.error({ err: error, task: this.#run.id }, 'a task failed for a fault of ours')
    return {
      state: 'error',
      code: 'internal',
      message: "something failed on our side; the control plane's log has the cause",
    }
  }
}

const cancelled: Failure = { state: 'cancelled', code: 'cancelled', message: 'the task was cancelled' }

/** What a step is given: the state, and ways to say what it does. */
class OneRun implements SagaRun<SagaState> {
  readonly user: string
  readonly cancelling: AbortSignal
  readonly #run: TaskRun
  readonly #saveContext: (context: SagaContext) => Promise<void>
  #context: SagaContext
  #step = ''

  constructor(
    run: TaskRun,
    user: string,
    cancelling: AbortSignal,
    context: SagaContext,
    saveContext: (context: SagaContext) => Promise<void>,
  ) {
    this.#run = run
    this.user = user
    this.cancelling = cancelling
    this.#context = context
    this.#saveContext = saveContext
  }

  get taskId(): string {
    return this.#run.id
  }

  get state(): SagaState {
    return this.#context.state
  }

  /** What is on record, with what the step saved. */
  get context(): SagaContext {
    return this.#context
  }

  async step(text: string): Promise<void> {
    this.#step = text
    await this.#run.step(text)
  }

  progress(doneCount: number, totalCount: number): void {
    this.#run.note(this.#step, doneCount, totalCount)
  }

  async save(change: Partial<SagaState>): Promise<void> {
    this.#context = { ...this.#context, state: { ...this.#context.state, ...change } }
    await this.#saveContext(this.#context)
  }
}
