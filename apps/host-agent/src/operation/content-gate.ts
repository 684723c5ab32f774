import { addAbortSignal, type Readable } from 'node:stream'
import { AgentError } from '../agent-error.ts'

/** How long an import waits for its content, with the VM locked. */
export const contentWaitMaxMs = 600_000

/** Where an import waits for the bytes that come in another call. */
export class ContentGate {
  readonly #arrival = Promise.withResolvers<Readable>()
  #waiting = false
  #offered = false

  /** Whether the import waits for content now. */
  get waiting(): boolean {
    return this.#waiting && !this.#offered
  }

  /** Waits for the content, which ends with `signal`. Rejects with the signal's reason, or AgentError `io` after a while. */
  async wait(signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted()
    this.#waiting = true
    const giveUp = () => this.#arrival.reject(signal.reason)
    const timer = setTimeout(() => {
      this.#arrival.reject(new AgentError('io', `no content came within ${contentWaitMaxMs / 1000} s; start it again`))
    }, contentWaitMaxMs)
    signal.addEventListener('abort', giveUp)
    try {
      return addAbortSignal(signal, await this.#arrival.promise)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      this.#waiting = false
    }
  }

  /** Gives the content to the import, which may wait for it already or not yet. Throws AgentError `not-waiting-for-content`. */
  offer(content: Readable): void {
    if (this.#offered) throw new AgentError('not-waiting-for-content', 'this operation has its content already')
    this.#offered = true
    this.#arrival.resolve(content)
  }
}
