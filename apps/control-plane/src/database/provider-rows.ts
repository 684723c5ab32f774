/** Who the control plane is to the servers of a standard key provider: a private key, and its certificate. */
export interface ProviderIdentityRow {
  id: string
  provider: string
  /** How the key server comes to trust it (`ClientTrust` in `control-plane-api`). */
  way: 'root-ca' | 'self-signed' | 'upload' | 'csr'
  /** `active`: shown to the servers. `prepared`: takes the place of the active one once the servers took it. */
  state: 'active' | 'prepared'
  /** PEM, its own certificate first; empty while a request waits to be signed. */
  certificate: string
  /** PKCS#10, PEM; null where none was made. */
  csr: string | null
  /** PEM, sealed by the barrier and bound to the provider's servers and trust and to the certificate (`ProviderStore`). */
  key_sealed: Uint8Array
  created_at: number
}

/** What the last probe of a key provider found. */
export interface ProviderHealthRow {
  provider: string
  health: 'green' | 'yellow' | 'red'
  /** For people: server, cause, next step. */
  text: string
  /** Since when it is in this colour. */
  since: number
  probed_at: number
  /** The servers as `KeyProviderStatus` shows them, JSON. */
  servers: string
}

/** A key that a probe made and that is not known to be destroyed. */
export interface ProbeKeyRow {
  provider: string
  key_id: string
  created_at: number
}

/** The key provider that is asked for the keys of what lies in an entity, where nothing nearer says otherwise. */
export interface ProviderDefaultRow {
  entity_kind: 'cluster' | 'folder'
  entity_id: string
  provider: string
}
