import type { KeyProviderStatus } from '@cryptvisor/control-plane-api'
import type { Log } from '../log.ts'

/** What the timer asks for. */
export interface Probed {
  /** The providers that are set up, and when each was probed last (milliseconds since 1970); `null`: never. */
  due(): Promise<readonly { readonly name: string; readonly probedAt: number | null }[]>
  probe(name: string): Promise<KeyProviderStatus>
}

/** A provider that does not work is looked at more often: its return is news. */
const redIntervalMs = 60_000
/** A new one is probed soon, and not while the person who adds it still works on it. */
const firstMs = 2_000
/** The longest sleep between two looks. */
const lookMs = 30_000
/** After a start providers wait for so long at most, by chance, so that not all are probed at once. */
const startMs = 10_000

/** Probes each key provider again and again, each at times of its own that differ a little. */
export class ProbeTimer {
  readonly #probed: Probed
  readonly #intervalMs: number
  readonly #now: () => number
  readonly #random: () => number
  readonly #log: Log
  readonly #startedAt: number
  readonly #dueAt = new Map<string, number>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> = Promise.resolve()
  #isStopped = false

  /** `intervalMs`: 0 means never. */
  constructor(probed: Probed, intervalMs: number, now: () => number, random: () => number, log: Log) {
    this.#probed = probed
    this.#intervalMs = intervalMs
    this.#now = now
    this.#random = random
    this.#log = log
    this.#startedAt = now()
  }

  start(): void {
    this.#sleep(firstMs)
  }

  /** Probes a provider soon that is new, or was changed. */
  wake(name: string): void {
    this.#dueAt.set(name, this.#now())
    this.#sleep(firstMs)
  }

  /** Begins no further probe. Those that are under way end by themselves when their providers are closed. */
  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #sleep(ms: number): void {
    if (this.#isStopped || this.#intervalMs === 0) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#looking = this.#looking.then(() => this.#look())
    }, ms)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#isStopped) return
    try {
      const providers = await this.#probed.due()
      const now = this.#now()
      const names = new Set(providers.map(({ name }) => name))
      for (const name of this.#dueAt.keys()) if (!names.has(name)) this.#dueAt.delete(name)
      const due = providers.filter((provider) => this.#timeOf(provider) <= now)
      // One after the other: nothing is in a hurry, and a probe asks all servers of its provider at once.
      for (const { name } of due) {
        if (this.#isStopped) return
        await this.#probe(name)
      }
    } catch (error) {
      if (!this.#isStopped) this.#log.error({ err: error }, 'the key providers to probe could not be read')
    }
    const next = Math.min(...this.#dueAt.values(), this.#now() + lookMs)
    this.#sleep(Math.max(next - this.#now(), 1000))
  }

  /** When the provider is to be probed; worked out once for each probe. */
  #timeOf({ name, probedAt }: { name: string; probedAt: number | null }): number {
    const known = this.#dueAt.get(name)
    if (known !== undefined) return known
    const due =
      probedAt === null
        ? this.#now()
        : Math.max(probedAt + this.#jittered(this.#intervalMs), this.#startedAt + startMs * this.#random())
    this.#dueAt.set(name, due)
    return due
  }

  async #probe(name: string): Promise<void> {
    let isRed = false
    try {
      isRed = (await this.#probed.probe(name)).health === 'red'
    } catch (error) {
      if (!this.#isStopped) this.#log.warn({ err: error, provider: name }, 'a key provider could not be probed')
    }
    const interval = isRed ? Math.min(redIntervalMs, this.#intervalMs) : this.#intervalMs
    this.#dueAt.set(name, this.#now() + this.#jittered(interval))
  }

  /** Three quarters to five quarters of it. */
  #jittered(ms: number): number {
    return ms * (0.75 + this.#random() / 2)
  }
}
