import { addAbortSignal, type Readable } from 'node:stream'
import { AgentError } from '../agent-error.ts'

/** How long an import waits for its content, with the VM locked. */
export const contentWaitMaxMs = 600_000

/** Where an import waits for the bytes that come in another call. */
export class ContentGate {
  readonly #arrival = Promise.withResolvers<Readable>()
  #state: 'closed' | 'waiting' | 'passed' = 'closed'

  /** Whether content may be offered now. */
  get waiting(): boolean {
    return this.#state === 'waiting'
  }

  /** Waits for the content, which ends with `signal`. Rejects with the signal's reason, or AgentError `io` after a while. */
  async wait(signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted()
    this.#state = 'waiting'
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
      this.#state = 'passed'
    }
  }

  /** Gives the content to whoever waits. Throws AgentError `not-waiting-for-content`. */
  offer(content: Readable): void {
    if (this.#state !== 'waiting') {
      throw new AgentError('not-waiting-for-content', 'this operation does not wait for content, or has it already')
    }
    this.#state = 'passed'
    this.#arrival.resolve(content)
  }
}
