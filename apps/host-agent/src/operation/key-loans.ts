import type { KeyReference } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { type KeyCache, type KeyLoan, kidOf } from '../key-cache.ts'
import type { KeyNeed } from './plan.ts'

/** The KEKs of one operation, lent until it has ended: none of them can be removed meanwhile. */
export class KeyLoans implements Disposable {
  readonly #loans = new Map<string, KeyLoan>()

  /**
   * Lends all that the parts need. Throws AgentError: `crypto-unsupported` where keys are needed on a host that takes none,
   * `key-not-held`, which names the part and the keys that would do.
   */
  constructor(keys: KeyCache, needs: readonly KeyNeed[], cryptoSupported: boolean) {
    if (needs.length > 0 && !cryptoSupported) {
      throw new AgentError('crypto-unsupported', 'this host does not support encryption; use another host')
    }
    for (const need of needs) {
      for (const key of need.anyOf) {
        const loan = this.#loans.has(kidOf(key)) ? null : keys.borrow(key)
        if (loan !== null) this.#loans.set(loan.kid, loan)
      }
    }
    const missing = needs.find(({ anyOf }) => !anyOf.some((key) => this.#loans.has(kidOf(key))))
    if (missing === undefined) return
    this[Symbol.dispose]()
    throw notHeld(missing)
  }

  /** One KEK that was lent. */
  one(key: KeyReference): KeyLoan {
    const loan = this.#loans.get(kidOf(key))
    if (loan === undefined) throw notHeld({ part: 'this operation', anyOf: [key] })
    return loan
  }

  /** Those of the KEKs that were lent. */
  of(keys: readonly KeyReference[]): KeyLoan[] {
    return keys.flatMap((key) => this.#loans.get(kidOf(key)) ?? [])
  }

  [Symbol.dispose](): void {
    for (const loan of this.#loans.values()) loan[Symbol.dispose]()
    this.#loans.clear()
  }
}

function notHeld({ part, anyOf }: KeyNeed): AgentError {
  const names = anyOf.map(kidOf).join(' or ')
  return new AgentError('key-not-held', `${part}: this host does not hold ${names}; is its key provider reachable?`)
}
