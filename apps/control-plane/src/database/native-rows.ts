import type { NativeKey } from '@cryptvisor/key-provider'

/** A native key provider, beside its row in `key_provider`. */
export interface NativeProviderRow {
  provider: string
  /** Of the derivation key that new keys are made with. */
  generation: number
  /** When it was restored from a backup; null: it was made here. Restored ones know keys that are not on record. */
  restored_at: number | null
  /** SHA-256 (hex) of the backup that was read out last, with all generations up to `exported_generation`. */
  exported_sha256: string | null
  exported_generation: number | null
}

/** One generation of a native provider's derivation key. */
export interface DerivationKeyRow {
  provider: string
  generation: number
  /** 32 bytes, sealed by the barrier and bound to provider and generation; never anything else. */
  sealed: Uint8Array
  created_at: number
  /** When whoever took a backup confirmed that it is whole; null: none is known. */
  backed_up_at: number | null
}

/**
 * A key of a native provider: all of it but the key. The row outlives the key, its provider and its generation: that of a
 * destroyed one is its tombstone.
 */
export interface NativeKeyRow {
  provider: string
  key_id: string
  generation: number
  state: NativeKey['state']
  /** JSON object of `x-` attributes. */
  labels: string
  created_at: number
  activated_at: number | null
  revoked_at: number | null
  revocation: string | null
  destroyed_at: number | null
}
