import type { UsedKeyHealth } from '@cryptvisor/control-plane-api'
import { cannedTime } from './canned.ts'

export const cannedHealth: UsedKeyHealth = {
  provider: 'kms',
  keyId: 'kek-1',
  state: 'good',
  text: 'it can be had',
  checkedAt: cannedTime,
  verifiedAt: cannedTime,
  badSince: null,
  vms: ['db1'],
  host: null,
}
