/** Where users come from that are not our own. */
export interface IdentitySourceRow {
  /** Stands after the `@` in the names of its users; never changes. */
  name: string
  kind: 'oidc' | 'ldap'
  /** JSON, as the API has it. */
  config: string
  /** The client secret or bind password, sealed for this very `config`; null: there is none. */
  secret_sealed: Uint8Array | null
  enabled: number
  /** So many days after the source confirmed a user last their API tokens work. */
  confirm_days: number
  /** Since when a directory cannot be used, and why; null: it could when it was asked last. */
  failed_at: number | null
  failure: string | null
  created_at: number
}

/** Who is in a group of a source is in a group of ours. */
export interface GroupMappingRow {
  source_name: string
  external_name: string
  group_name: string
}

/** A user who is not our own. */
export interface ExternalUserRow {
  user_name: string
  source_name: string
  /** Who it is at the source, and stays under another name: `sub`, or the entry's unique ID. */
  subject: string
  /** When the source last said that this user is there and may log in. */
  checked_at: number
}
