import type { Secret } from '@cryptvisor/secret'

interface Fetch {
  readonly key: Promise<Secret>
  waiting: number
}

/**
 * Has a key that several ask for at the same moment, such as all hosts of a cluster after an outage, fetched once. Each gets a
 * secret of its own; nothing is kept once all have theirs.
 */
export class SharedFetches {
  readonly #fetches = new Map<string, Fetch>()

  /** The key under `name`: from a fetch that is under way, else from `fetch`. Throws what that throws. */
  async share(name: string, fetch: () => Promise<Secret>): Promise<Secret> {
    const shared = this.#fetches.get(name) ?? this.#begin(name, fetch)
    shared.waiting++
    let secret: Secret | null = null
    try {
      secret = await shared.key
      return secret.clone()
    } finally {
      if (--shared.waiting === 0) secret?.[Symbol.dispose]()
    }
  }

  #begin(name: string, fetch: () => Promise<Secret>): Fetch {
    const key = fetch().finally(() => this.#fetches.delete(name))
    const shared = { key, waiting: 0 }
    this.#fetches.set(name, shared)
    return shared
  }
}
