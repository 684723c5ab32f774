/**
 * Ctrl-C. Inside `during`, the first one aborts the work's signal, so that it can end in order, and the second one ends
 * the program at once; outside, the first one does.
 */
export class Interrupt {
  readonly #endProgram: () => void
  #running: AbortController | null = null

  constructor(endProgram: () => void) {
    this.#endProgram = endProgram
  }

  /** To be called for each Ctrl-C. */
  fire(): void {
    if (this.#running === null || this.#running.signal.aborted) this.#endProgram()
    else this.#running.abort()
  }

  /** Runs `work` so that Ctrl-C aborts its signal. Not to be nested: pass the signal along. */
  async during<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#running !== null) throw new Error('an interruptible piece of work cannot be started inside another')
    this.#running = new AbortController()
    try {
      return await work(this.#running.signal)
    } finally {
      this.#running = null
    }
  }
}
