/** One record of the audit (`AuditRecord`); written once, never changed, removed only behind a signed checkpoint. */
export interface AuditRow {
  position: number
  time: number
  kind: 'request' | 'event' | 'key'
  user_name: string
  address: string | null
  session: string | null
  operation: string
  object: string
  privilege: string | null
  outcome: string
  request_id: string | null
  provider: string | null
  key_id: string | null
  task_id: string | null
  text: string | null
  hash: string
}

/** The one signed end of the chain. */
export interface AuditHeadRow {
  id: 1
  position: number
  hash: string
  time: number
  broken_at: number | null
  /** Base64; `null`: nobody wrote yet. */
  signature: string | null
}

/** Up to where records were removed. */
export interface AuditCheckpointRow {
  position: number
  hash: string
  time: number
  user_name: string
  signature: string
}
