import type { AttributeDescription, ObjectType, State } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import type { ProbeWatch } from './probe.ts'
import type { ProviderStatus } from './provider-status.ts'

/** Why a key is given up (KMIP 1.4, 9.1.3.2.19). */
export type RevocationCause = 'cessation-of-operation' | 'key-compromise' | 'unspecified'

/** What a provider tells of a key; never its bytes. */
export interface KeyDescription {
  readonly keyId: string
  /** `null` where the provider does not say, or the object has none. */
  readonly state: State | null
  readonly objectType: ObjectType | null
  /** The standard's name, such as `AES`; a number where it has none. */
  readonly algorithm: string | number | null
  readonly lengthBits: number | null
  /** All attributes that the provider shows, `x-` ones included. */
  readonly attributes: readonly AttributeDescription[]
}

/**
 * Where KEKs come from. Keys are named by the provider's ID and theirs. Every method throws a KeyProviderError,
 * and a RangeError for arguments that make no sense.
 */
export interface KeyProvider extends AsyncDisposable {
  readonly id: string
  /**
   * Has an AES-256 key made, for encryption and decryption, without a name; gives its ID. When the answer is lost, a
   * key may be left that nobody knows of.
   */
  createKey(): Promise<string>
  /** Sets `x-` attributes of type Text String. One that has its value already is fine. Fails with `labels-refused`. */
  labelKey(keyId: string, labels: Readonly<Record<string, string>>): Promise<void>
  /** Makes a key Active. One that is so already is fine. */
  activateKey(keyId: string): Promise<void>
  /** The key's 32 bytes, for the caller to dispose of. Fails with `key-unusable` when it is no raw AES-256 key. */
  getKey(keyId: string): Promise<Secret>
  /**
   * Gives up a key: Deactivated, or Compromised. One that is so already is fine. A Pre-Active one, with which nothing
   * was done, becomes Compromised too, but is left as it is for other causes: it can be destroyed as it is.
   */
  revokeKey(keyId: string, cause: RevocationCause, message?: string): Promise<void>
  /** Destroys a key that is not Active. One that is gone already is fine. */
  destroyKey(keyId: string): Promise<void>
  /** What the provider tells of a key; `null` when it has none with this ID. */
  describeKey(keyId: string): Promise<KeyDescription | null>
  /** The symmetric keys that this identity may see, `listLimitMax` at most, in the provider's order. */
  listKeys(options: { readonly offset?: number; readonly limit: number }): Promise<KeyDescription[]>
  /**
   * Finds out how the provider is, by asking each server and by making, reading and destroying a key; `watch` is told of
   * that. Throws what `watch` throws alone.
   */
  probe(watch?: ProbeWatch): Promise<ProviderStatus>
}

/** How many keys one call lists. */
export const listLimitMax = 1000
