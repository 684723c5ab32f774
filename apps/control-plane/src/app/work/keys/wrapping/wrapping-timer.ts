import type { WorkContext } from '../../context.ts'
import type { WrappingKeys } from './wrapping-keys.ts'

/** The longest sleep between two looks, and the pause after one that failed. */
const lookMs = 30_000

/** Renews wrapping keys when their time is over, whether or not anybody asks for one. */
export class WrappingTimer {
  readonly #work: WorkContext
  readonly #keys: Pick<WrappingKeys, 'renewIfDue'>
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()

  constructor(work: WorkContext, keys: Pick<WrappingKeys, 'renewIfDue'>) {
    this.#work = work
    this.#keys = keys
  }

  start(): void {
    this.#work.stopping.addEventListener('abort', () => this.#clear(), { once: true })
    this.wake()
  }

  /** Looks now: something was changed. */
  wake(): void {
    this.#sleep(0)
  }

  /** Resolves when nothing goes on any more, once the control plane stops. */
  async stopped(): Promise<void> {
    this.#clear()
    await this.#looking
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #sleep(ms: number): void {
    this.#clear()
    if (this.#work.stopping.aborted) return
    this.#timer = setTimeout(() => {
      this.#looking = this.#looking.then(() => this.#look())
    }, ms)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    try {
      const rows = await this.#work.database.selectFrom('wrapping_key').select(['provider', 'due_at']).execute()
      const now = this.#work.clock()
      for (const { provider, due_at } of rows) {
        if (this.#work.stopping.aborted) return
        if (due_at !== null && due_at <= now) await this.#renew(provider)
      }
    } catch (error) {
      if (!this.#work.stopping.aborted) this.#work.log.error({ err: error }, 'the wrapping keys could not be looked at')
    }
    this.#sleep(lookMs)
  }

  async #renew(provider: string): Promise<void> {
    try {
      await this.#keys.renewIfDue(provider)
    } catch (error) {
      if (!this.#work.stopping.aborted) {
        this.#work.log.warn({ err: error, provider }, 'a wrapping key could not be renewed; it is tried again')
      }
    }
  }
}
