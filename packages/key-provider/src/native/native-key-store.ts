import type { State } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'

/** All that is on record of a native provider's key: everything but the key, which is derived. Times are epoch ms. */
export interface NativeKey {
  readonly keyId: string
  readonly state: State
  /** `x-` attributes. */
  readonly labels: Readonly<Record<string, string>>
  readonly createdAt: number
  readonly activatedAt: number | null
  /** When it was given up: deactivated or compromised. */
  readonly revokedAt: number | null
  readonly revocation: string | null
  readonly destroyedAt: number | null
}

/** What changes of a key. */
export type NativeKeyChange = Partial<Omit<NativeKey, 'keyId' | 'createdAt'>>

/** The derivation key that new keys are made with. */
export interface CurrentGeneration {
  readonly generation: number
  /** Whether a backup of it was taken; before, no key is made with it. */
  readonly isBackedUp: boolean
}

/**
 * Where one native provider's derivation keys and the records of its keys lie. A key's record is never removed: that of
 * a destroyed one is its tombstone.
 */
export interface NativeKeyStore {
  current(): Promise<CurrentGeneration>
  /** The derivation key of a generation, for the caller to dispose of; `null`: there is none, or none any more. */
  derivationKey(generation: number): Promise<Secret | null>
  /**
   * Whether keys without a record may be the provider's own: it was restored from a backup, which has derivation keys
   * and no records, or the store itself was, from one that lacks what came later.
   */
  mayLackRecords(): Promise<boolean>
  insert(key: NativeKey): Promise<void>
  find(keyId: string): Promise<NativeKey | null>
  /** Changes a key that is in the state `from`; `false`: it is in another one, or not there, and stays as it is. */
  change(keyId: string, from: State, change: NativeKeyChange): Promise<boolean>
  /** In the order in which keys were made. */
  list(offset: number, limit: number): Promise<readonly NativeKey[]>
}
