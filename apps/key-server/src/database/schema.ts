/** The tables of the key server's database. Times are milliseconds since 1970. */
export interface Schema {
  keyring: SealedRow
  wrapping_key: SealedRow
  sealed_value: SealedRow
  object: ObjectRow
  object_key: ObjectKeyRow
  audit: AuditRow
  certificate: CertificateRow
}

/** An entry of `Physical`: each area is a table of its own, so that keys and values can be kept and backed up apart. */
export interface SealedRow {
  id: string
  bytes: Uint8Array
}

export interface ObjectRow {
  /** UUIDv7: rises with time. */
  id: string
  owner: string
  object_type: string
  /** JSON: in which form the value came. */
  format: string
  /** TTLV: a Template-Attribute of KMIP 1.4. */
  attributes: Uint8Array
  /** JSON: for each attribute name the index that a new instance gets. */
  next_indexes: string
  /** 1 when the value is gone. */
  is_destroyed: 0 | 1
}

/** What Locate finds objects by. */
export interface ObjectKeyRow {
  object_key: string
  object_id: string
}

export interface AuditRow {
  /** From 1, without gaps. */
  position: number
  time_ms: number
  client: string
  certificate_fingerprint: string
  address: string
  protocol_version: string | null
  operation: string | null
  object_id: string | null
  result_status: string
  result_reason: string | null
  /** SHA-256 over the hash before and this record. */
  hash: string
}

/** The certificates that get in. */
export interface CertificateRow {
  /** SHA-256 over DER, 64 hex digits in lower case. */
  fingerprint: string
  role: 'client' | 'administrator'
  name: string
  serial_number: string
  issued_ms: number
  not_after_ms: number
  revoked_ms: number | null
}
