import type { SagaDefinition } from '../sagas/definition.ts'
import type { KeyVerification } from './key-verification.ts'

/** What a task that verifies keys remembers. */
export interface VerifyState {
  /** `null`: of all providers. */
  readonly provider: string | null
}

/** Reads back every KEK in use. It changes nothing, so that it may be cut off and begun again at any time. */
export function verifySaga(verification: KeyVerification): SagaDefinition<VerifyState> {
  return {
    type: 'keys.verify',
    steps: [
      {
        name: 'reading the keys back',
        act: async (run) => {
          const progress = (doneCount: number, totalCount: number) => run.progress(doneCount, totalCount)
          await verification.verifyAll(run.state.provider ?? undefined, run.cancelling, progress)
          run.cancelling.throwIfAborted()
          return undefined
        },
      },
    ],
  }
}
