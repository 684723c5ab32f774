import type { AuditRecord } from '@cryptvisor/control-plane-api'
import type { AuditRow } from '../../database/audit-rows.ts'
import { timeText } from '../clock.ts'

/** Where a request came from. */
export interface Origin {
  readonly requestId: string
  readonly address: string
  /** `session ID` or `api-token ID`; `null`: nobody logged in. */
  readonly session: string | null
}

/** What is to be recorded; place, time and hash are given to it. */
export interface AuditEntry {
  readonly kind: AuditRecord['kind']
  readonly user: string
  readonly operation: string
  readonly object: string
  readonly outcome: string
  readonly privilege?: string | null
  readonly provider?: string | null
  readonly keyId?: string | null
  readonly task?: string | null
  readonly text?: string | null
  /** Where it is not the request that is being answered. */
  readonly origin?: Origin | null
}

/** Notes what was done. */
export interface Audit {
  /** Records `entry`; it is on disk when the answer settles. */
  note(entry: AuditEntry): Promise<void>
}

/** Longer texts are cut: what strangers send must not fill the audit. */
export const auditTextMax = 2000

/** A record as it is chained, listed and exported. */
export function recordOf(row: AuditRow): AuditRecord {
  return { ...bareRecordOf(row), hash: row.hash }
}

/** A record without its hash: what the hash is over. */
export function bareRecordOf(row: Omit<AuditRow, 'hash'>): Omit<AuditRecord, 'hash'> {
  return {
    position: row.position,
    time: timeText(row.time),
    kind: row.kind,
    user: row.user_name,
    address: row.address,
    session: row.session,
    operation: row.operation,
    object: row.object,
    privilege: row.privilege,
    outcome: row.outcome,
    requestId: row.request_id,
    provider: row.provider,
    keyId: row.key_id,
    task: row.task_id,
    text: row.text,
  }
}

/** The row of an entry. Half characters would not survive UTF-8 and are replaced, long texts are cut. */
export function rowOf(
  entry: AuditEntry,
  origin: Origin | null,
  position: number,
  time: number,
): Omit<AuditRow, 'hash'> {
  const text = (value: string | null | undefined) => (value == null ? null : cut(value))
  return {
    position,
    time,
    kind: entry.kind,
    user_name: cut(entry.user),
    address: text(origin?.address),
    session: text(origin?.session),
    operation: cut(entry.operation),
    object: cut(entry.object),
    privilege: text(entry.privilege),
    outcome: cut(entry.outcome),
    request_id: text(origin?.requestId),
    provider: text(entry.provider),
    key_id: text(entry.keyId),
    task_id: text(entry.task),
    text: text(entry.text),
  }
}

const cut = (text: string) => text.slice(0, auditTextMax).toWellFormed()
