import type { Clock } from '../../clock.ts'
import { lockedUntil } from '../../lock-out.ts'

/** So many names are remembered; the oldest are forgotten. */
export const namesMax = 10_000

interface Failures {
  readonly count: number
  readonly until: number | null
}

/**
 * Wrong passwords for names that have no user here yet: counted as for users, by name and address, so that a directory is no
 * place to guess at without end. Kept in memory, since strangers choose the names.
 */
export class NameLockOuts {
  readonly #clock: Clock
  readonly #failures = new Map<string, Failures>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  isLockedOut(name: string, address: string): boolean {
    return (this.#failures.get(keyOf(name, address))?.until ?? 0) > this.#clock()
  }

  count(name: string, address: string): void {
    const key = keyOf(name, address)
    const count = (this.#failures.get(key)?.count ?? 0) + 1
    this.#failures.delete(key)
    this.#failures.set(key, { count, until: lockedUntil(count, this.#clock()) })
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined && this.#failures.size > namesMax) this.#failures.delete(oldest)
  }

  forget(name: string, address: string): void {
    this.#failures.delete(keyOf(name, address))
  }
}

const keyOf = (name: string, address: string) => `${name} ${address}`
