import type { StoragePolicy } from '@cryptvisor/control-plane-api'
import type { PolicyRow } from '../database/policy-rows.ts'
import { timeTextOrNull } from './clock.ts'

/** A storage policy as users see it. `usedBy`: how many VM Homes and disks have it. */
export function policyView(row: PolicyRow, usedBy: StoragePolicy['usedBy']): StoragePolicy {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    version: row.version,
    system: row.system === 1,
    encryption: row.encryption === 1,
    keyProvider: row.key_provider,
    thin: row.thin === 1,
    verify: row.verify === 1,
    rotationDays: row.rotation_days,
    onRevocation: row.on_revocation,
    graceMinutes: row.grace_minutes,
    hardened: row.hardened === 1,
    usedBy,
    changedAt: timeTextOrNull(row.changed_at),
    changedBy: row.changed_by,
  }
}
