import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Audit } from '../../audit/audit-entry.ts'
import type { Purpose } from './kms.ts'

/** Puts on record that a KEK passed through the control plane: from its key provider, or to a host. */
export async function noteKey(
  audit: Audit,
  operation: 'key.fetch' | 'key.hand-over',
  { provider, keyId }: KeyReference,
  { host, vm, user, task }: Purpose,
  outcome: string,
): Promise<void> {
  const purpose = [...(vm === null ? [] : [`vm ${vm}`]), ...(host === null ? [] : [`host ${host}`])].join(', ')
  const object = purpose === '' ? `key ${keyId}` : purpose
  await audit.note({ kind: 'key', user: user ?? 'system', operation, object, provider, keyId, task, outcome })
}
