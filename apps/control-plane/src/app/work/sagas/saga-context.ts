import type { Failure } from '../tasks/task-context.ts'
import type { SagaState } from './definition.ts'

/** What is on record of a saga of steps; JSON in `task.context`. */
export interface SagaContext {
  readonly direction: 'forward' | 'back'
  /** The step that is about to be done, or to be undone. */
  readonly index: number
  readonly state: SagaState
  /** Why it goes back. */
  readonly failure: Failure | null
}

/** Reads what `formatSagaContext` wrote. */
export function parseSagaContext(text: string): SagaContext {
  const context: unknown = JSON.parse(text)
  if (typeof context !== 'object' || context === null || !('direction' in context)) {
    throw new Error('the task has no context of a saga')
  }
  // Written by `formatSagaContext`, and by nobody else.
  return context as SagaContext
}

export function formatSagaContext(context: SagaContext): string {
  return JSON.stringify(context)
}
