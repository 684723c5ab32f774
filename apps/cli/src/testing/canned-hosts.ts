import type { ExposedKey, UsedKeyHealth } from '@cryptvisor/control-plane-api'
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

export const cannedExposed: ExposedKey = {
  provider: 'kms',
  keyId: 'kek-1',
  host: 'host-b',
  reason: 'removed',
  exposedAt: cannedTime,
  vms: ['db1'],
  inUse: true,
}
