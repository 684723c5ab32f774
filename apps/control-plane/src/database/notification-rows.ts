/** Where events or records of the audit are sent to. What was not sent yet is behind `cursor`: the table itself is the queue. */
export interface NotificationTargetRow {
  name: string
  kind: 'webhook' | 'email' | 'syslog'
  source: 'events' | 'audit'
  /** JSON by kind (`NotificationConfig`); no secret. */
  config: string
  /** Only events of this severity and above. */
  severity: 'info' | 'warning' | 'error'
  /** JSON array of event types; `vm.*` stands for all that begin so. Empty: all. */
  types: string
  enabled: number
  /** Sealed by the barrier and bound to name, kind and config; `null`: there is none. */
  secret_sealed: Uint8Array | null
  /** ID or position of the last one that was sent, left out or given up. */
  cursor: number
  /** How often the next one was tried in vain. */
  failed_count: number
  failed_since: number | null
  next_try_at: number | null
  last_error: string | null
  last_sent_at: number | null
  created_at: number
}

/** What could not be delivered and was given up. */
export interface NotificationLossRow {
  id: string
  target: string
  first_item: number
  last_item: number
  item_count: number
  error: string
  time: number
}
