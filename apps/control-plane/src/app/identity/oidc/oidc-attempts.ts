import { createHash, randomBytes } from 'node:crypto'
import { addressGroup } from '../../address-group.ts'
import type { Clock } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'

/** How long somebody may take to log in at a provider. */
export const attemptMs = 10 * 60_000

/** How many logins may have been begun and not finished, altogether and from one address. */
export const attemptsMax = 1000
export const attemptsPerAddressMax = 20

interface Kept<Attempt> {
  readonly attempt: Attempt
  readonly group: string
  readonly expiresAt: number
}

/**
 * Logins that were begun. They live in memory alone: what they hold has to stay secret, and after a restart one begins
 * again. Found by a secret that only whoever began has, so that nobody finishes the login of another.
 */
export class OidcAttempts<Attempt> {
  readonly #clock: Clock
  readonly #kept = new Map<string, Kept<Attempt>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws `too-busy`. */
  add(attempt: Attempt, address: string): { readonly secret: string; readonly expiresAt: number } {
    const now = this.#clock()
    for (const [key, { expiresAt }] of this.#kept) {
      if (expiresAt <= now) this.#kept.delete(key)
    }
    const group = addressGroup(address)
    const fromThere = [...this.#kept.values()].filter((each) => each.group === group)
    if (this.#kept.size >= attemptsMax || fromThere.length >= attemptsPerAddressMax) {
      throw new ControlPlaneError('too-busy', 'too many logins were begun and not finished: wait some minutes')
    }
    const secret = randomBytes(32).toString('base64url')
    const expiresAt = now + attemptMs
    this.#kept.set(keyOf(secret), { attempt, group, expiresAt })
    return { secret, expiresAt }
  }

  /** `null`: there is none, or it took too long. */
  find(secret: string): Attempt | null {
    const kept = this.#kept.get(keyOf(secret))
    return kept === undefined || kept.expiresAt <= this.#clock() ? null : kept.attempt
  }

  /** Keeps one that was found for as long again, under the same secret. */
  keep(secret: string, attempt: Attempt, address: string): void {
    const expiresAt = this.#clock() + attemptMs
    this.#kept.set(keyOf(secret), { attempt, group: addressGroup(address), expiresAt })
  }

  remove(secret: string): void {
    this.#kept.delete(keyOf(secret))
  }
}

const keyOf = (secret: string) => createHash('sha256').update(secret, 'utf8').digest('hex')
