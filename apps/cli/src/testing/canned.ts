import type { Disk, Event, Host, Key, KeyProvider, Task, User, Vm } from '@cryptvisor/control-plane-api'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'

/** What the fake control plane holds: one of each thing. */

export const cannedTime = '2026-01-31T13:05:09.000Z'

export const cannedKey: Key = {
  provider: 'kms',
  keyId: 'kek-1',
  state: 'Active',
  objectType: 'SymmetricKey',
  algorithm: 'AES',
  lengthBits: 256,
  attributes: [
    { name: 'x-Component', index: 0, type: 'TextString', value: 'Virtual Machine' },
    { name: 'x-Name', index: 0, type: 'TextString', value: 'db1\u001b[2J' },
    { name: 'Cryptographic Usage Mask', index: 0, type: 'Integer', value: 12 },
  ],
  usedBy: [{ kind: 'vm', id: 'vm-1', name: 'db1' }],
  record: { state: 'current', createdAt: '2026-01-01T13:05:09.000Z', retiredAt: null, ageDays: 30 },
  destroyAt: null,
  orphan: false,
}

export const cannedOrphan: Key = {
  ...cannedKey,
  keyId: 'kek-2',
  state: null,
  attributes: [],
  usedBy: [],
  record: null,
  orphan: true,
}

export function cannedDisk(number: number, encrypted: boolean): Disk {
  return {
    id: `disk-${number}`,
    number,
    format: 'raw',
    sizeBytes: 1_610_612_736,
    payloadBytes: 1_610_612_736,
    policy: encrypted ? encryptionPolicy : plainPolicy,
    encrypted,
    key: encrypted ? { provider: 'kms', keyId: 'kek-1' } : null,
    layerId: `layer-${number}`,
    luksUuid: encrypted ? '3b2f0a4e-0000-4000-8000-000000000001' : null,
    path: `/srv/vms/db1/layer-${number}.${encrypted ? 'luks' : 'raw'}`,
    device: null,
  }
}

export function cannedVm(name: string, encrypted: boolean): Vm {
  return {
    id: `id-of-${name}`,
    name,
    folder: '/Sales',
    host: 'host-a',
    cluster: 'main',
    datastore: 'fast',
    path: `/srv/vms/${name}`,
    encryption: encrypted ? 'partial' : 'plain',
    home: {
      policy: encrypted ? encryptionPolicy : plainPolicy,
      encrypted,
      key: encrypted ? { provider: 'kms', keyId: 'kek-1' } : null,
    },
    disks: [cannedDisk(0, encrypted), cannedDisk(1, false)],
    lock: encrypted
      ? {
          state: 'locked',
          text: 'host-a does not hold the key',
          missingKeys: [{ provider: 'kms', keyId: 'kek-1' }],
          cause: 'key-missing-in-kms' as const,
          since: cannedTime,
        }
      : { state: 'unlocked', text: null, missingKeys: [], cause: null, since: null },
    power: { state: 'off', since: null, reason: null, acceleration: null, qemu: null },
    compliance: { state: 'compliant', reasons: [] },
    task: null,
  }
}

export const cannedHost: Host = {
  id: 'id-of-host-a',
  name: 'host-a',
  cluster: 'main',
  url: 'https://127.0.0.1:1',
  hardwareUuid: '3b2f0a4e-0000-4000-8000-000000000002',
  connection: 'connected',
  lastSeenAt: cannedTime,
  version: '0.0.0',
  cryptoState: 'safe',
  cryptoReason: null,
  keyGap: null,
  cryptoDisabledAt: null,
  decommissionedAt: null,
  hostKey: { provider: 'kms', keyId: 'host-key' },
  certificateExpiresAt: cannedTime,
  runningCount: 3,
  strayMachines: [],
}

export const cannedProvider: KeyProvider = {
  name: 'kms',
  displayName: null,
  kind: 'standard',
  isDefault: true,
  servers: [
    { host: 'kms-1', port: 5696, fingerprint256: null },
    { host: '::1', port: 5697, fingerprint256: 'cd'.repeat(32) },
  ],
  missing: null,
  health: 'green',
  clientCertificateExpiresAt: cannedTime,
  clientCertificateFingerprint256: 'ab'.repeat(32),
  native: null,
  wrapping: null,
}

export const cannedUser: User = {
  name: 'admin',
  source: null,
  role: 'Admin',
  createdAt: cannedTime,
  lockedUntil: null,
  secondFactor: false,
}

export function cannedEvent(id: number, about: Partial<Event> = {}): Event {
  return {
    id,
    type: 'kms.crypto.key-created',
    severity: 'info',
    time: cannedTime,
    host: null,
    vm: 'db1',
    provider: 'kms',
    keyId: 'kek-1',
    text: `event ${id}`,
    user: 'admin',
    task: null,
    ...about,
  }
}

export function cannedTask(id: string, about: Partial<Task> = {}): Task {
  return {
    id,
    type: 'vm.encrypt',
    target: { kind: 'vm', id: 'id-of-db1', name: 'db1' },
    state: 'running',
    step: 'encrypting disk 0',
    doneBytes: 1_048_576,
    totalBytes: 4_194_304,
    progressPercent: 25,
    rateBytesPerSecond: 1_048_576,
    secondsLeft: 3,
    key: null,
    cancelRequested: false,
    paused: false,
    error: null,
    user: 'admin',
    createdAt: cannedTime,
    startedAt: cannedTime,
    endedAt: null,
    ...about,
  }
}
