/** Lets a few of something run at a time, such as operations that move data; the others wait their turn. */
export class BulkLimit {
  #freeCount: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#freeCount = count
  }

  /** Waits for a turn; disposing of the result ends it. Rejects with the signal's reason when that comes first. */
  async enter(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted()
    if (this.#freeCount > 0) {
      this.#freeCount--
    } else {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const giveUp = () => {
        const index = this.#waiting.indexOf(resolve)
        if (index < 0) return
        this.#waiting.splice(index, 1)
        reject(signal.reason)
      }
      this.#waiting.push(resolve)
      signal.addEventListener('abort', giveUp)
      try {
        await promise
      } finally {
        signal.removeEventListener('abort', giveUp)
      }
    }
    return this.#turn()
  }

  /** Takes a turn if one is free; `null`: none is. */
  enterNow(): Disposable | null {
    if (this.#freeCount === 0) return null
    this.#freeCount--
    return this.#turn()
  }

  #turn(): Disposable {
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (held) this.#leave()
        held = false
      },
    }
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#freeCount++
    else next()
  }
}
