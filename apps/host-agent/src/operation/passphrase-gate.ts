import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { Arrival } from './arrival.ts'

/** Where an import waits for the passphrase that comes in another call. Disposing of it wipes the passphrase. */
export class PassphraseGate implements Disposable {
  readonly #arrival = new Arrival<Secret>('passphrase')
  #passphrase: Secret | null = null
  #closed = false

  /** Whether the import waits for it now. */
  get waiting(): boolean {
    return this.#arrival.waiting
  }

  /** Whether it has come. */
  get offered(): boolean {
    return this.#arrival.offered
  }

  /** Waits for the passphrase, which stays ours. Rejects with the signal's reason, or AgentError `io` after a while. */
  async wait(signal: AbortSignal): Promise<Secret> {
    return await this.#arrival.wait(signal)
  }

  /** Takes a copy of the passphrase. Throws AgentError `not-waiting-for-content` for a second one, or when all is over. */
  offer(passphrase: Secret): void {
    if (this.#closed) throw new AgentError('not-waiting-for-content', 'this operation has ended')
    if (!this.offered) this.#passphrase = passphrase.clone()
    this.#arrival.offer(this.#passphrase ?? passphrase)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#passphrase?.[Symbol.dispose]()
    this.#passphrase = null
  }
}
