import { recordKeySizeBytes } from '@cryptvisor/key-record'
import { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import type { Resumed } from './journal-keys.ts'

/** The DEKs of an operation, one after the other in the order of its journal: made anew, or those of the try that is gone on with. */
export class NewDeks {
  readonly #resumed: Resumed | null
  readonly #stack: AsyncDisposableStack
  #count = 0

  /** Those that are made are disposed of with `stack`. */
  constructor(resumed: Resumed | null, stack: AsyncDisposableStack) {
    this.#resumed = resumed
    this.#stack = stack
  }

  /** Passes over one that its source has. */
  skip(): void {
    this.#count++
  }

  /** The next one; it stays ours. */
  next(): Secret {
    if (this.#resumed === null) return this.#stack.use(Secret.random(recordKeySizeBytes))
    const dek = this.#resumed.deks[this.#count++]
    if (dek === undefined) throw new AgentError('internal', 'the journal has fewer keys than its operation')
    return dek
  }
}
