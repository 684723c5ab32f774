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
  /** Until when at the latest the host opens what it kept across restarts; null: it kept nothing. */
  kept_until: number | null
}

/** Keys that a host needs and was found not to hold; no row: it holds all of them, as far as is known. */
export interface HostKeyGapRow {
  host_id: string
  needed_count: number
  missing_count: number
  lacks_host_key: number
  /** What it lacks, why, and what to do. */
  text: string
  since: number
  /** Whether an event told of it. */
  is_told: number
  /** 0: the host is not connected any more, so nobody knows whether this holds. */
  is_known: number
}
