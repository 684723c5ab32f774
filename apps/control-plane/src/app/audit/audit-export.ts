import type { AuditExportEnd, AuditExportStart } from '@cryptvisor/control-plane-api'
import { type AuditLog, recordsPerAnswerMax } from './audit-log.ts'

/**
 * The audit as JSON lines: an `AuditExportStart`, the records, an `AuditExportEnd`. Records that come meanwhile are not in
 * it: it ends at the head of its beginning. Ends early, without an end, when `signal` fires.
 */
export async function* auditExport(log: AuditLog, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const head = await log.head()
  const checkpoint = await log.checkpoint()
  const start: AuditExportStart = { format: 'cryptvisor-audit-1', publicKey: log.publicKey, checkpoint }
  yield `${JSON.stringify(start)}\n`
  let after = checkpoint?.position ?? 0
  const end = head?.position ?? 0
  while (after < end && !signal.aborted) {
    const records = await log.list({ after, limit: recordsPerAnswerMax })
    const lines = records.filter(({ position }) => position <= end).map((record) => `${JSON.stringify(record)}\n`)
    yield lines.join('')
    if (records.length === 0) break
    after = records.at(-1)?.position ?? end
  }
  const last: AuditExportEnd = { head }
  if (!signal.aborted) yield `${JSON.stringify(last)}\n`
}
