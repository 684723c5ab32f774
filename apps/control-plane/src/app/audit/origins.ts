import { AsyncLocalStorage } from 'node:async_hooks'
import type { Origin } from './audit-entry.ts'

/** Knows, however deep in the business code, which request is being answered, or began what goes on. */
export class Origins {
  readonly #storage = new AsyncLocalStorage<Origin>()

  /** Runs `work`, and all that it begins, as of this request. */
  run<Result>(origin: Origin, work: () => Result): Result {
    return this.#storage.run(origin, work)
  }

  /** `null`: nobody asked; the control plane acts by itself. */
  readonly now = (): Origin | null => this.#storage.getStore() ?? null
}
