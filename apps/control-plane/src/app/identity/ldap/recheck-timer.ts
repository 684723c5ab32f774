import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../../log.ts'
import type { LdapRecheck } from './ldap-recheck.ts'

/** What the timer asks for. */
export type Rechecked = Pick<LdapRecheck, 'due' | 'recheck'>

/** How often each directory is asked about its users. */
const intervalMs = 15 * 60_000

/** After a start the first time comes sooner: nobody asked while this control plane was down. */
const firstMs = 60_000

const stopMsMax = 2000

/** Asks directories about their users again and again, at times that differ a little. Dispose of it to end that. */
export class RecheckTimer implements AsyncDisposable {
  readonly #recheck: Rechecked
  readonly #random: () => number
  readonly #log: Log
  #timer: NodeJS.Timeout | null = null
  #going: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(recheck: Rechecked, random: () => number, log: Log) {
    this.#recheck = recheck
    this.#random = random
    this.#log = log
  }

  start(): this {
    this.#sleep(firstMs)
    return this
  }

  /** Waits a moment for what is under way: a directory may take long, and what is not carried out then is asked again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await Promise.race([this.#going, pause(stopMsMax, undefined, { ref: false })])
  }

  /** Three quarters to five quarters of it. */
  #sleep(ms: number): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(
      () => {
        this.#going = this.#all().finally(() => this.#sleep(intervalMs))
      },
      ms * (0.75 + this.#random() / 2),
    )
    this.#timer.unref()
  }

  async #all(): Promise<void> {
    try {
      for (const name of await this.#recheck.due()) {
        if (this.#isStopped) return
        await this.#one(name)
      }
    } catch (error) {
      this.#log.error({ err: error }, 'the directories to ask could not be read')
    }
  }

  async #one(source: string): Promise<void> {
    try {
      await this.#recheck.recheck(source)
    } catch (error) {
      // What is wrong with a directory is an event, once; here it is for whoever looks closer.
      this.#log.warn({ err: error, source }, 'a directory could not be asked about its users')
    }
  }
}
