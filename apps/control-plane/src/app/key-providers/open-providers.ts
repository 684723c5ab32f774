import type { KeyProvider } from '@cryptvisor/key-provider'
import type { ProviderStore } from '../provider-store.ts'

/** How long a provider that was replaced is left to those who use it already. */
const graceMs = 60_000

/** The key providers that are open: each once, opened when it is first asked for. */
export class OpenProviders implements AsyncDisposable {
  readonly #openOne: (name: string) => Promise<KeyProvider>
  readonly #store: Pick<ProviderStore, 'close'>
  readonly #open = new Map<string, Promise<KeyProvider>>()
  /** Those that were replaced, until they are closed. */
  readonly #replaced = new Map<Promise<KeyProvider>, NodeJS.Timeout>()

  constructor(openOne: (name: string) => Promise<KeyProvider>, store: Pick<ProviderStore, 'close'>) {
    this.#openOne = openOne
    this.#store = store
  }

  /** Throws what opening it throws; then it is tried again the next time. */
  async get(name: string): Promise<KeyProvider> {
    const open = this.#open.get(name)
    if (open !== undefined) return open
    const opening = this.#openOne(name)
    this.#open.set(name, opening)
    try {
      return await opening
    } catch (error) {
      if (this.#open.get(name) === opening) this.#open.delete(name)
      throw error
    }
  }

  /** Whoever asks from now on gets it opened anew; what is under way with it goes on for a while. */
  replace(name: string): void {
    const open = this.#open.get(name)
    if (open === undefined) return
    this.#open.delete(name)
    const timer = setTimeout(() => void this.#end(open), graceMs)
    timer.unref()
    this.#replaced.set(open, timer)
  }

  /** Closes it at once. */
  async close(name: string): Promise<void> {
    const open = this.#open.get(name)
    this.#open.delete(name)
    if (open !== undefined) await this.#end(open)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      ...[...this.#open.keys()].map((name) => this.close(name)),
      ...[...this.#replaced.keys()].map((open) => this.#end(open)),
    ])
  }

  async #end(open: Promise<KeyProvider>): Promise<void> {
    clearTimeout(this.#replaced.get(open))
    this.#replaced.delete(open)
    // One that did not open has nothing to close.
    await this.#store.close(await open.catch(() => undefined))
  }
}
