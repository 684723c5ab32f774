/** A request that came with an `Idempotency-Key`, and what was answered to it. */
export interface RequestKeyRow {
  user_name: string
  request_key: string
  /** SHA-256 over the request, hex. */
  fingerprint: string
  /** Null while it is carried out, or when it was cut off. */
  status: number | null
  answer: string | null
  /** The task that it began. */
  task_id: string | null
  created_at: number
}
