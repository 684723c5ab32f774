/** What may be held back while it has its turn. */
export interface Pausable {
  readonly paused: boolean
  /** Calls `listener` whenever it is held back, until the result is disposed of. */
  onPause(listener: () => void): Disposable
}

interface Turn {
  readonly pausable: Pausable | null
}

/**
 * Lets a few of something run at a time, such as operations that move data; the others wait their turn. One that is paused does
 * not count, so that it keeps nobody waiting; when it is resumed it goes on at once.
 */
export class BulkLimit {
  readonly #countMax: number
  readonly #turns = new Set<Turn>()
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#countMax = count
  }

  /** Waits for a turn; disposing of the result ends it. Rejects with the signal's reason when that comes first. */
  async enter(signal: AbortSignal, pausable: Pausable | null = null): Promise<Disposable> {
    signal.throwIfAborted()
    if (this.#isFree) return this.#take(pausable)
    const { promise, resolve, reject } = Promise.withResolvers<Disposable>()
    const admit = () => resolve(this.#take(pausable))
    const giveUp = () => {
      const index = this.#waiting.indexOf(admit)
      if (index < 0) return
      this.#waiting.splice(index, 1)
      reject(signal.reason)
    }
    this.#waiting.push(admit)
    signal.addEventListener('abort', giveUp)
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** Takes a turn if one is free; `null`: none is. */
  enterNow(): Disposable | null {
    return this.#isFree ? this.#take(null) : null
  }

  get #isFree(): boolean {
    let count = 0
    for (const { pausable } of this.#turns) if (pausable?.paused !== true) count++
    return count < this.#countMax
  }

  #take(pausable: Pausable | null): Disposable {
    const turn = { pausable }
    this.#turns.add(turn)
    const watch = pausable?.onPause(() => this.#admit())
    return {
      [Symbol.dispose]: () => {
        if (!this.#turns.delete(turn)) return
        watch?.[Symbol.dispose]()
        this.#admit()
      },
    }
  }

  /** Lets in as many as there is room for. */
  #admit(): void {
    while (this.#isFree) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next()
    }
  }
}
