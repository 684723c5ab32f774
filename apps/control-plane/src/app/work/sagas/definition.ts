import type { Transaction } from 'kysely'
import type { Schema } from '../../../database/schema.ts'
import type { Events } from '../../ports.ts'
import type { Failure } from '../tasks/task-context.ts'

/** What a saga remembers from step to step; JSON, never a key. */
export type SagaState = object

/** One run of a saga, as its steps see it. */
export interface SagaRun<State extends SagaState> {
  readonly taskId: string
  /** As the last step that was done left it. */
  readonly state: State
  /** Who began it. */
  readonly user: string
  /** Fires when somebody asks for the task to be cancelled; never once the saga only goes forward. */
  readonly cancelling: AbortSignal
  /** Says in words what is done now. */
  step(text: string): Promise<void>
  /** Says how far the step is, in memory only. */
  progress(doneCount: number, totalCount: number): void
  /** Puts changes of the state on record in the middle of a step, before something is done that depends on them. */
  save(change: Partial<State>): Promise<void>
}

/**
 * One step. That it is about to be done is on record before it is, so after a crash it is done once more: `act` has to
 * bear that. Throws `ControlPlaneError` for what the user is to know of.
 */
export interface SagaStep<State extends SagaState> {
  /** In words, such as «making the host key». */
  readonly name: string
  /** Gives what changes in the state; it is put on record together with the next step. */
  act(run: SagaRun<State>): Promise<Partial<State> | undefined>
  /**
   * Takes back what `act` did, or did in part, or did not even begin. Left out: there is nothing to take back. One that
   * fails is tried again until it works.
   */
  undo?(run: SagaRun<State>): Promise<void>
  /**
   * From this step on nothing is taken back: what fails is tried again until it works, and nobody can cancel. For what
   * cannot be undone, such as destroying a key.
   */
  readonly forward?: boolean
}

/** What may be recorded with the end of a saga. */
export type RecordWith = Events['record']

/** A task of several steps that is no change of one VM alone. */
export interface SagaDefinition<State extends SagaState> {
  /** The task's type, such as `host.rekey`. */
  readonly type: string
  readonly steps: readonly SagaStep<State>[]
  /** In the transaction that ends the task as a success; a VM that the task claimed is released by itself. */
  succeed?(transaction: Transaction<Schema>, record: RecordWith, run: SagaRun<State>): Promise<void>
  /** In the transaction that ends the task when everything was taken back. */
  failed?(transaction: Transaction<Schema>, record: RecordWith, run: SagaRun<State>, failure: Failure): Promise<void>
  /**
   * After its end is on record, and its VM is free: looks at what nobody looked at meanwhile. Not called when the control plane died
   * at that moment: a start looks at everything. What it throws is logged.
   */
  ended?(run: SagaRun<State>, failure: Failure | null): Promise<void>
}
