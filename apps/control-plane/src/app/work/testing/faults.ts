/** One call over a border: to an agent, a key server, the database. */
export interface Point {
  /** Such as `host-a PUT /v1/keys` or `kms createKey`. */
  readonly name: string
  /** Whether the call's effect has taken place; its answer then gets lost. */
  readonly when: 'before' | 'after'
}

/** Thrown by everything that a dead process tries. */
export class KilledError extends Error {
  override readonly name = 'KilledError'
}

/**
 * The borders that a process acts across, in the order in which it does. A test counts them in a run where all goes
 * well, and then has the process die, or the call fail, at each of them.
 */
export class Faults {
  /** How many rows the database gave so far. */
  rowsRead = 0
  readonly points: Point[] = []
  #hook: (point: Point, index: number) => void = () => undefined
  #dead = false

  /** Called at each point; may throw, or kill. */
  onPoint(hook: (point: Point, index: number) => void): void {
    this.#hook = hook
  }

  /** From now on the process does nothing any more. */
  kill(): never {
    this.#dead = true
    throw new KilledError('the process was killed')
  }

  get dead(): boolean {
    return this.#dead
  }

  /** Makes a call. */
  async pass<Result>(name: string, call: () => Promise<Result> | Result): Promise<Result> {
    this.at({ name, when: 'before' })
    const result = await call()
    this.at({ name, when: 'after' })
    return result
  }

  at(point: Point): void {
    if (this.#dead) throw new KilledError('the process was killed')
    this.points.push(point)
    this.#hook(point, this.points.length - 1)
  }
}
