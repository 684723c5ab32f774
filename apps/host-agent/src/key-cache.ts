import { type KeyReference, kekSizeBytes } from '@cryptvisor/host-agent-api'
import type { NamedKek } from '@cryptvisor/key-record'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from './agent-error.ts'

/** How many KEKs one host holds at most. */
export const keysHeldMax = 200_000

/** A KEK lent to an operation: it stays in the cache until this is disposed of. */
export interface KeyLoan extends NamedKek, Disposable {}

interface Entry {
  readonly key: KeyReference
  readonly kek: Secret
  loanCount: number
}

/** The KEKs that this host holds: in memory only, wiped when they are removed and when the agent ends. */
export class KeyCache implements Disposable {
  readonly #entries = new Map<string, Entry>()
  #hostKey: KeyReference | null = null

  /**
   * Takes over a KEK and its `Secret`, which is wiped where it is not kept. The same one again changes nothing. Throws
   * AgentError `key-conflict` when another is held under this name, `too-many`.
   */
  add(key: KeyReference, kek: Secret): void {
    using stack = new DisposableStack()
    stack.use(kek)
    if (kek.sizeBytes !== kekSizeBytes) {
      throw new AgentError('internal', `a KEK has ${kekSizeBytes} bytes, not ${kek.sizeBytes}`)
    }
    const held = this.#entries.get(nameOf(key))
    if (held === undefined) {
      if (this.#entries.size >= keysHeldMax) throw new AgentError('too-many', `this host holds ${keysHeldMax} keys`)
      this.#entries.set(nameOf(key), { key, kek, loanCount: 0 })
      stack.move()
    } else if (!held.kek.equal(kek)) {
      throw new AgentError(
        'key-conflict',
        `${kidOf(key)}: this host holds another key under that name; remove that one first, if it is the wrong one`,
      )
    }
  }

  /** Wipes a KEK; fine when it is not held. Throws AgentError `key-in-use` while an operation has it. */
  remove(key: KeyReference): void {
    const held = this.#entries.get(nameOf(key))
    if (held === undefined) return
    if (held.loanCount > 0) {
      throw new AgentError('key-in-use', `${kidOf(key)}: an operation uses it; try again when that has ended`)
    }
    held.kek[Symbol.dispose]()
    this.#entries.delete(nameOf(key))
    if (this.#hostKey !== null && nameOf(this.#hostKey) === nameOf(key)) this.#hostKey = null
  }

  /** Lends a KEK out; `null` when it is not held. */
  borrow(key: KeyReference): KeyLoan | null {
    const held = this.#entries.get(nameOf(key))
    if (held === undefined) return null
    held.loanCount++
    let open = true
    return {
      kid: kidOf(key),
      kek: held.kek,
      [Symbol.dispose]: () => {
        if (open) held.loanCount--
        open = false
      },
    }
  }

  /** Whether a KEK is held. */
  has(key: KeyReference): boolean {
    return this.#entries.has(nameOf(key))
  }

  /** Whether `kek` is what is held under this name, in constant time; keeps nothing of it. */
  compare(key: KeyReference, kek: Secret): 'same' | 'other' | 'not-held' {
    const held = this.#entries.get(nameOf(key))
    if (held === undefined) return 'not-held'
    return held.kek.equal(kek) ? 'same' : 'other'
  }

  /** The names of all KEKs held. */
  get keys(): KeyReference[] {
    return Array.from(this.#entries.values(), ({ key }) => key)
  }

  /** How many KEKs are held. */
  get count(): number {
    return this.#entries.size
  }

  /** The host key, which makes a host crypto-safe; `null` while there is none. */
  get hostKey(): KeyReference | null {
    return this.#hostKey
  }

  /** Says which held KEK is the host key. Throws AgentError `key-not-held`. */
  setHostKey(key: KeyReference): void {
    if (!this.has(key)) {
      throw new AgentError('key-not-held', `${kidOf(key)}: this host does not hold it; hand it over first`)
    }
    this.#hostKey = key
  }

  [Symbol.dispose](): void {
    for (const { kek } of this.#entries.values()) kek[Symbol.dispose]()
    this.#entries.clear()
    this.#hostKey = null
  }
}

/** A KEK's name in key records: `<provider>/<key ID>`. */
export function kidOf({ provider, keyId }: KeyReference): string {
  return `${provider}/${keyId}`
}

/** Unlike a kid it cannot be read in two ways. */
function nameOf({ provider, keyId }: KeyReference): string {
  return JSON.stringify([provider, keyId])
}
