import { randomBytes } from 'node:crypto'
import { type KeyDescription, type KeyProvider, KeyProviderError } from '@cryptvisor/key-provider'
import { Secret } from '@cryptvisor/secret'
import { isRehearsed } from '../../rehearsal.ts'
import type { Faults } from './faults.ts'

interface StoredKey {
  readonly bytes: Uint8Array
  state: 'PreActive' | 'Active' | 'Deactivated' | 'Destroyed'
  readonly labels: Record<string, string>
}

/** A key server in memory that outlives the processes which use it. */
export class MemoryKms {
  readonly name: string
  readonly keys = new Map<string, StoredKey>()
  /** How it is out of order. */
  down = false
  refusesLabels = false
  refusesCreate = false
  /** How often each key was given. */
  readonly gets = new Map<string, number>()

  constructor(name: string) {
    this.name = name
  }

  /** Becomes as `other` is. */
  copy(other: MemoryKms): void {
    for (const [keyId, key] of other.keys) this.keys.set(keyId, structuredClone(key))
  }

  /** The provider as one process uses it. */
  provider(faults: Faults): KeyProvider {
    const { name } = this
    const call = <Result>(operation: string, act: () => Result): Promise<Result> =>
      faults.pass(`kms ${operation}`, () => {
        if (isRehearsed()) throw new Error(`${operation}: a dry run holds the database, and waits for no key server`)
        if (this.down) throw new KeyProviderError('unreachable', { providerId: name }, `key provider ${name} is down`)
        return act()
      })
    return {
      id: name,
      createKey: () =>
        call('createKey', () => {
          if (this.refusesCreate) throw this.#error('denied', '')
          const id = `key-${this.keys.size + 1}`
          this.keys.set(id, { bytes: randomBytes(32), state: 'PreActive', labels: {} })
          return id
        }),
      labelKey: (keyId, labels) =>
        call('labelKey', () => {
          if (this.refusesLabels) throw this.#error('labels-refused', keyId)
          Object.assign(this.#key(keyId).labels, labels)
        }),
      activateKey: (keyId) =>
        call('activateKey', () => {
          const key = this.#key(keyId)
          if (key.state === 'Deactivated') throw this.#error('key-unusable', keyId)
          key.state = 'Active'
        }),
      getKey: (keyId) =>
        call('getKey', () => {
          this.gets.set(keyId, (this.gets.get(keyId) ?? 0) + 1)
          return Secret.from(Uint8Array.from(this.#key(keyId).bytes))
        }),
      revokeKey: (keyId) =>
        call('revokeKey', () => {
          const key = this.#key(keyId)
          if (key.state === 'Active') key.state = 'Deactivated'
        }),
      destroyKey: (keyId) =>
        call('destroyKey', () => {
          const key = this.#key(keyId)
          if (key.state === 'Active') throw this.#error('denied', keyId)
          key.state = 'Destroyed'
        }),
      describeKey: (keyId) => call('describeKey', () => this.#describe(keyId)),
      listKeys: ({ offset = 0, limit }) =>
        call('listKeys', () =>
          [...this.keys.keys()].slice(offset, offset + limit).flatMap((keyId) => this.#describe(keyId) ?? []),
        ),
      // Never throws for what it finds out, as a provider's never does; a key is made in the real ones.
      probe: () =>
        faults.pass('kms probe', () => {
          const health = this.down || this.refusesCreate ? ('red' as const) : ('green' as const)
          return {
            health,
            reason: health === 'red' ? `key provider ${name} is down` : 'it works',
            servers: [],
            keyMadeAt: null,
          }
        }),
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  idsIn(...states: StoredKey['state'][]): string[] {
    return [...this.keys].filter(([, key]) => states.includes(key.state)).map(([id]) => id)
  }

  #key(keyId: string): StoredKey {
    const key = this.keys.get(keyId)
    if (key === undefined || key.state === 'Destroyed') throw this.#error('key-missing', keyId)
    return key
  }

  #describe(keyId: string): KeyDescription | null {
    const key = this.keys.get(keyId)
    if (key === undefined) return null
    return {
      keyId,
      state: key.state,
      objectType: 'SymmetricKey',
      algorithm: 'AES',
      lengthBits: 256,
      attributes: Object.entries(key.labels).map(([name, value]) => ({ name, index: 0, type: 'TextString', value })),
    }
  }

  #error(code: KeyProviderError['code'], keyId: string): KeyProviderError {
    return new KeyProviderError(code, { providerId: this.name, keyId }, `key ${keyId} of ${this.name}: ${code}`)
  }
}
