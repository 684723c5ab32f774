/** What was found out about a KEK when it was looked at last, by whoever looks at all of them again and again. */
export interface KeyHealthRow {
  provider: string
  key_id: string
  /** A `KeyHealthState` but `unchecked`. */
  state: string
  /** In words, with what to do. */
  text: string
  checked_at: number
  /** When it was good last; null: never. */
  verified_at: number | null
  /** Since when it is not good; null: it is. */
  bad_since: number | null
}

/** A KEK that a host which left may still hold. */
export interface ExposedKeyRow {
  provider: string
  key_id: string
  host_id: string
  /** As it was called then. */
  host_name: string
  reason: 'removed' | 'moved' | 'decommissioned'
  exposed_at: number
}
