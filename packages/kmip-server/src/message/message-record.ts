import { formatVersion } from '@cryptvisor/kmip'
import type { AuditRecord } from '../audit-record.ts'
import type { MessageContext } from '../operation/operation-context.ts'

/** The audit record of an operation of a message; of a message of which nothing was carried out with `null` for both. */
export function recordOf(
  { client, version, settings }: MessageContext,
  operation: string | null,
  objectId: string | null,
  resultStatus: AuditRecord['resultStatus'],
  resultReason: AuditRecord['resultReason'],
): AuditRecord {
  return {
    time: settings.now(),
    client: client.name,
    certificateFingerprint: client.certificateFingerprint,
    address: client.address,
    protocolVersion: formatVersion(version),
    operation,
    objectId,
    resultStatus,
    resultReason,
  }
}
