import type { ResultReason, ResultStatus } from '@cryptvisor/kmip'

/** One batch item, or one message that could not be read. It never holds an attribute's value or a key. */
export interface AuditRecord {
  readonly time: Date
  readonly client: string
  readonly certificateFingerprint: string
  readonly address: string
  /** The protocol version of the request; `null` when there was none to be read. */
  readonly protocolVersion: string | null
  /** Its name, or its number in hex where we do not know it; `null` for a message that could not be read. */
  readonly operation: string | null
  /** The object that it was about; `null` when none was found, or none is meant. */
  readonly objectId: string | null
  readonly resultStatus: ResultStatus
  readonly resultReason: ResultReason | null
}
