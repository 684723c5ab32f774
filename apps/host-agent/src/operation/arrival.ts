import { AgentError } from '../agent-error.ts'

/** How long an operation waits for what comes in another call, with the VM locked. */
const waitMaxMs = 600_000

/** One thing that an operation waits for and that comes in another call. */
export class Arrival<Thing> {
  readonly #name: string
  readonly #arrived = Promise.withResolvers<Thing>()
  #waiting = false
  #offered = false

  /** `name`: such as «content». */
  constructor(name: string) {
    this.#name = name
  }

  /** Whether it is waited for now. */
  get waiting(): boolean {
    return this.#waiting && !this.#offered
  }

  /** Whether it has come. */
  get offered(): boolean {
    return this.#offered
  }

  /** Waits for it. Rejects with the signal's reason, or AgentError `io` after a while. */
  async wait(signal: AbortSignal): Promise<Thing> {
    signal.throwIfAborted()
    this.#waiting = true
    const giveUp = () => this.#arrived.reject(signal.reason)
    const timer = setTimeout(() => {
      this.#arrived.reject(
        new AgentError('io', `no ${this.#name} came within ${waitMaxMs / 1000} s; start the operation again`),
      )
    }, waitMaxMs)
    signal.addEventListener('abort', giveUp)
    try {
      return await this.#arrived.promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      this.#waiting = false
    }
  }

  /** Gives it to the operation, which may wait for it already or not yet. Throws AgentError `not-waiting-for-content`. */
  offer(thing: Thing): void {
    if (this.#offered) {
      throw new AgentError('not-waiting-for-content', `this operation has its ${this.#name} already`)
    }
    this.#offered = true
    this.#arrived.resolve(thing)
  }
}
