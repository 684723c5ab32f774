import type {
  CertificateEntry,
  ExposedKey,
  HostDump,
  HostKeyPersistence,
  RebootCheckList,
  SupportBundlePlan,
  UsedKeyHealth,
} from '@cryptvisor/control-plane-api'
import { cannedTime } from './canned.ts'

export const cannedDump: HostDump = {
  name: 'dump-1.core',
  createdAt: cannedTime,
  process: { pid: 77, command: 'qemu' },
  sizeBytes: 4096,
  key: { provider: 'kms', keyId: 'host-key' },
}

export const cannedKeyPersistence: HostKeyPersistence = {
  keepDays: 30,
  since: cannedTime,
  mayKeepDays: 30,
  onHost: {
    isOn: true,
    keyCount: 4,
    keptUntil: '2026-12-24T10:00:00.000Z',
    tpmProblem: null,
    problem: null,
    memory: { swap: false, coreDumps: false },
  },
}

export const cannedBundlePlan: SupportBundlePlan = {
  hostKey: cannedDump.key,
  files: [{ name: 'host/log.jsonl', about: 'the agent’s log' }],
  fileSizeMax: 8_388_608,
  sizeMax: 67_108_864,
}

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
  keptUntil: null,
  vms: ['db1'],
  inUse: true,
}

export const cannedCheck: RebootCheckList = {
  verdict: 'safe',
  checks: [
    {
      host: 'host-a',
      verdict: 'safe',
      neededCount: 2,
      obtainableCount: 2,
      vmCount: 1,
      wouldLock: [],
      running: [],
      missing: [],
      kept: { keyCount: 2, until: cannedTime },
      warnings: [],
      text: '2 of the 2 keys that it needs can be had now',
    },
  ],
}

export const cannedCertificate: CertificateEntry = {
  kind: 'host',
  what: 'host host-a',
  subject: 'CN=host-a',
  notAfter: cannedTime,
  daysLeft: 12,
  state: 'yellow',
  renewsItself: true,
}
