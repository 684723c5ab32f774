/** How long a server that fails is left alone. */
export interface AvoidanceLimits {
  /** After the first failure, on average; it doubles with each further one in a row. */
  readonly avoidMs: number
  /** Never longer than that, on average. */
  readonly avoidMaxMs: number
}

/**
 * Whether one of several servers is well, as far as requests have shown (a circuit breaker). A server that failed is left
 * alone for a while, then one request alone may try it (half open); that one's end decides whether the others follow.
 */
export class ServerHealth {
  readonly #limits: AvoidanceLimits
  readonly #random: () => number
  #failureCount = 0
  #avoidedUntil = 0
  #isTried = false

  constructor(limits: AvoidanceLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  /** Whether a request should go to another server first. Where it says no, the request goes here: tell of its end. */
  isAvoided(now: number): boolean {
    if (this.#failureCount === 0) return false
    return this.#isTried || now < this.#avoidedUntil
  }

  /** A request is sent to it. */
  begins(): void {
    if (this.#failureCount > 0) this.#isTried = true
  }

  /** The server answered, whatever it said. */
  answered(): void {
    this.#failureCount = 0
    this.#isTried = false
  }

  /** The request failed: the server is left alone for half to one and a half times its pause, so that not all come back at once. */
  failed(now: number): void {
    // Requests that were under way when the first one failed say nothing new.
    const isNews = this.#failureCount === 0 || this.#isTried || now >= this.#avoidedUntil
    this.#isTried = false
    if (!isNews) return
    const pauseMs = Math.min(this.#limits.avoidMs * 2 ** this.#failureCount, this.#limits.avoidMaxMs)
    this.#failureCount = Math.min(this.#failureCount + 1, failureCountMax)
    this.#avoidedUntil = now + pauseMs * (0.5 + this.#random())
  }

  /** The request ended without saying anything about the server. */
  undecided(): void {
    this.#isTried = false
  }
}

/** Enough doublings for any limit, and no number that is too large. */
const failureCountMax = 20
