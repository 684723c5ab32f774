import type { Clock } from './clock.ts'

/** How many events of one kind, which anybody can cause, are recorded one by one within a minute. */
export const eventsPerMinuteMax = 30

/** Keeps what strangers cause from filling the database: lets some through, and counts the rest. */
export class EventAllowance {
  readonly #clock: Clock
  #minute = Number.NEGATIVE_INFINITY
  #recordedCount = 0
  #omittedCount = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many were left out since the last that was recorded, when this one is to be recorded; `null`: leave it out. */
  take(isImportant: boolean): number | null {
    const minute = Math.floor(this.#clock() / 60_000)
    if (minute !== this.#minute) {
      this.#minute = minute
      this.#recordedCount = 0
    }
    if (!isImportant && this.#recordedCount >= eventsPerMinuteMax) {
      this.#omittedCount++
      return null
    }
    this.#recordedCount++
    const omittedCount = this.#omittedCount
    this.#omittedCount = 0
    return omittedCount
  }
}
