/**
 * A key provider whose keys are wrapping keys: one is the KEK of many VMs' records. Without a row each VM has a KEK of its
 * own there.
 */
export interface WrappingKeyRow {
  provider: string
  /** The one that is taken for what is encrypted from now on; null: none was made yet. */
  key_id: string | null
  since: number | null
  /** How long it is taken; null: for good, since somebody chose it. */
  rotation_ms: number | null
  /** When another one is to be made; null: never by itself. */
  due_at: number | null
}
