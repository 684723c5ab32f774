import type { State } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import { type KeyDescription, type KeyProvider, listLimitMax, type RevocationCause } from '../key-provider.ts'
import { KeyProviderError, type KeyProviderErrorCode } from '../key-provider-error.ts'
import { checkLabels } from '../labels.ts'
import type { ProviderStatus } from '../provider-status.ts'
import { deriveNativeKey } from './native-key-derivation.ts'
import { describeNativeKey } from './native-key-description.ts'
import { generationOf, isOwnKeyId, newNativeKeyId } from './native-key-id.ts'
import type { NativeKey, NativeKeyChange, NativeKeyStore } from './native-key-store.ts'
import { probeNativeProvider } from './native-probe.ts'

export interface NativeKeyProviderOptions {
  /** Part of every key's name, and of what keys are derived from: it never changes. */
  readonly id: string
  readonly store: NativeKeyStore
  /** Epoch milliseconds. */
  readonly now: () => number
}

const gone: readonly State[] = ['Destroyed', 'DestroyedCompromised']

/**
 * A key provider without a key server: its keys are derived from a derivation key, by their IDs. It keeps the same life
 * of a key as a KMIP server does (KMIP 1.4, 3.22); what is destroyed is never derived again.
 */
export class NativeKeyProvider implements KeyProvider {
  readonly id: string
  readonly #store: NativeKeyStore
  readonly #now: () => number

  constructor({ id, store, now }: NativeKeyProviderOptions) {
    this.id = id
    this.#store = store
    this.#now = now
  }

  /** Fails with `not-backed-up` while the backup of the derivation key is missing. */
  async createKey(): Promise<string> {
    const { generation, isBackedUp } = await this.#store.current()
    if (!isBackedUp) {
      throw this.#error(
        'not-backed-up',
        null,
        `key provider ${this.id} makes no keys before its derivation key (generation ${generation}) was backed up: «key-provider backup ${this.id} --out FILE»`,
      )
    }
    using derivationKey = await this.#derivationKey(generation, null)
    const keyId = newNativeKeyId(derivationKey, this.id, generation)
    await this.#store.insert(recordOf(keyId, 'PreActive', this.#now()))
    return keyId
  }

  async labelKey(keyId: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const checked = checkLabels(labels)
    if (checked.size === 0) return
    await this.#change(keyId, 'label the key', (key) => {
      if (gone.includes(key.state)) throw this.#missing(keyId, 'label the key')
      return { labels: { ...key.labels, ...Object.fromEntries(checked) } }
    })
  }

  async activateKey(keyId: string): Promise<void> {
    await this.#change(keyId, 'activate the key', (key) => {
      if (key.state === 'Active') return null
      if (key.state === 'PreActive') return { state: 'Active', activatedAt: this.#now() }
      throw this.#refused('key-unusable', keyId, `could not activate the key (key ${keyId}): it is ${key.state}`)
    })
  }

  async getKey(keyId: string): Promise<Secret> {
    const key = await this.#find(keyId)
    if (key === null || gone.includes(key.state)) throw this.#missing(keyId, 'give the key')
    using derivationKey = await this.#derivationKey(generationOf(keyId) ?? 0, keyId)
    // Of a provider of the same name that was removed there may be records still: never derive another key by its ID.
    if (!isOwnKeyId(derivationKey, this.id, keyId)) throw this.#missing(keyId, 'give the key')
    return deriveNativeKey(derivationKey, this.id, keyId)
  }

  async revokeKey(keyId: string, cause: RevocationCause, message?: string): Promise<void> {
    await this.#change(keyId, 'revoke the key', (key) => {
      const given = { revokedAt: this.#now(), revocation: message ?? cause }
      if (cause === 'key-compromise') {
        if (key.state === 'Compromised' || key.state === 'DestroyedCompromised') return null
        return { state: key.state === 'Destroyed' ? 'DestroyedCompromised' : 'Compromised', ...given }
      }
      return key.state === 'Active' ? { state: 'Deactivated', ...given } : null
    })
  }

  async destroyKey(keyId: string): Promise<void> {
    if ((await this.#find(keyId)) === null) return
    await this.#change(keyId, 'destroy the key', (key) => {
      if (gone.includes(key.state)) return null
      if (key.state === 'Active') {
        throw this.#refused('denied', keyId, `could not destroy the key (key ${keyId}): it is Active, revoke it first`)
      }
      return { state: key.state === 'Compromised' ? 'DestroyedCompromised' : 'Destroyed', destroyedAt: this.#now() }
    })
  }

  async describeKey(keyId: string): Promise<KeyDescription | null> {
    const key = await this.#find(keyId)
    return key === null ? null : describeNativeKey(key)
  }

  async listKeys({ offset = 0, limit }: { offset?: number; limit: number }): Promise<KeyDescription[]> {
    if (!Number.isInteger(limit) || limit < 1 || limit > listLimitMax) {
      throw new RangeError(`limit must be a whole number from 1 to ${listLimitMax}`)
    }
    if (!Number.isInteger(offset) || offset < 0) throw new RangeError('offset must be a whole number from 0')
    return (await this.#store.list(offset, limit)).map(describeNativeKey)
  }

  async probe(): Promise<ProviderStatus> {
    return probeNativeProvider(this.id, this.#store)
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** A key's record; where records may be lacking, one is made for a key ID that the derivation key made. */
  async #find(keyId: string): Promise<NativeKey | null> {
    const found = await this.#store.find(keyId)
    if (found !== null || !(await this.#store.mayLackRecords())) return found
    const generation = generationOf(keyId)
    if (generation === null) return null
    using derivationKey = await this.#store.derivationKey(generation)
    if (derivationKey === null || !isOwnKeyId(derivationKey, this.id, keyId)) return null
    const now = this.#now()
    const record = { ...recordOf(keyId, 'Active', now), activatedAt: now }
    await this.#store.insert(record)
    return record
  }

  /** Changes a key's record; what `decide` gives `null` for stays as it is. Somebody else's change makes it decide anew. */
  async #change(keyId: string, what: string, decide: (key: NativeKey) => NativeKeyChange | null): Promise<void> {
    for (;;) {
      const key = await this.#find(keyId)
      if (key === null) throw this.#missing(keyId, what)
      const change = decide(key)
      if (change === null || (await this.#store.change(keyId, key.state, change))) return
    }
  }

  async #derivationKey(generation: number, keyId: string | null): Promise<Secret> {
    const found = await this.#store.derivationKey(generation)
    if (found !== null) return found
    throw this.#error(
      'key-missing',
      keyId,
      `key provider ${this.id} has no derivation key of generation ${generation}${keyId === null ? '' : `, which key ${keyId} is of`}`,
    )
  }

  #missing(keyId: string, what: string): KeyProviderError {
    return this.#error('key-missing', keyId, `key provider ${this.id} could not ${what}: it has no key ${keyId}`)
  }

  #refused(code: KeyProviderErrorCode, keyId: string, why: string): KeyProviderError {
    return this.#error(code, keyId, `key provider ${this.id} ${why}`)
  }

  #error(code: KeyProviderErrorCode, keyId: string | null, message: string): KeyProviderError {
    return new KeyProviderError(code, { providerId: this.id, ...(keyId === null ? {} : { keyId }) }, message)
  }
}

function recordOf(keyId: string, state: State, now: number): NativeKey {
  return {
    keyId,
    state,
    labels: {},
    createdAt: now,
    activatedAt: null,
    revokedAt: null,
    revocation: null,
    destroyedAt: null,
  }
}
