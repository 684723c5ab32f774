import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

export const Severity = Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('error')])
export type Severity = Static<typeof Severity>

/** What happened; `host` and `vm` are names. Types are listed in `eventTypes`. */
export const Event = Type.Object({
  id: Type.Integer({ description: 'Grows by the order in which events were recorded' }),
  type: Type.String(),
  severity: Severity,
  time: Time,
  host: Nullable(Type.String()),
  vm: Nullable(Type.String()),
  provider: Nullable(Type.String()),
  keyId: Nullable(Type.String()),
  text: Type.String(),
  user: Nullable(Type.String()),
  task: Nullable(Type.String()),
})
export type Event = Static<typeof Event>
export const EventList = Type.Object({ events: Type.Array(Event) })

/** Every event type with its severity and what it says. */
export const eventTypes = {
  'host.crypto.send-key-error': ['error', 'Keys could not be added to a host'],
  'kms.crypto.key-missing': ['error', 'A key is missing in the key server'],
  'kms.crypto.connection-error': ['error', 'The key server cannot be reached'],
  'kms.crypto.labels-refused': ['warning', 'The key server refused the labels of a key'],
  'kms.crypto.key-created': ['info', 'A key was made'],
  'kms.crypto.key-destroyed': ['info', 'A key that nothing uses was revoked and destroyed'],
  'kms.crypto.key-cleanup-failed': ['warning', 'A key that nothing uses could not be destroyed'],
  'kms.crypto.error': ['error', 'The key server refused a request'],
  'key-provider.added': ['info', 'A key provider was added'],
  'key-provider.removed': ['info', 'A key provider was removed'],
  'key-provider.default-changed': ['info', 'Another key provider became the default'],
  'host.enrolled': ['info', 'A host was enrolled'],
  'host.connected': ['info', 'A host connected'],
  'host.disconnected': ['warning', 'A host disconnected'],
  'host.session-replaced': ['warning', 'A second session of a host took the place of the first'],
  'host.address-changed': ['warning', 'A host answers at another address than it was enrolled with'],
  'host.removed': ['info', 'A host was removed'],
  'host.crypto.enabled': ['info', 'A host holds its host key and is crypto-safe'],
  'host.crypto.keys-sent': ['info', 'A host was given the keys of its cluster'],
  'host.crypto.keys-forgotten': ['info', 'A host that was removed forgot its keys'],
  'host.crypto.key-exposed': ['warning', 'A host that was removed may still hold a key'],
  'vm.created': ['info', 'A VM was created'],
  'vm.deleted': ['info', 'A VM was deleted'],
  'vm.disk-added': ['info', 'A disk was added'],
  'vm.disk-exported': ['info', 'A disk is read out, plain'],
  'vm.disk-export-failed': ['warning', 'Reading a disk out broke off'],
  'vm.header-backed-up': ['info', 'The header of an encrypted disk is read out, for a backup'],
  'vm.header-backup-failed': ['warning', 'Reading the header of a disk out broke off'],
  'vm.header-restored': ['info', 'The header of an encrypted disk was written back from a backup'],
  'vm.crypto.encrypted': ['info', 'A VM or parts of it were encrypted'],
  'vm.crypto.decrypted': ['info', 'A VM or parts of it were decrypted'],
  'vm.crypto.rekeyed': ['info', 'A VM or parts of it were rekeyed'],
  'vm.crypto.failed': ['error', 'An encryption, a decryption or a rekey failed; the text says what became of the VM'],
  'vm.crypto.locked': ['warning', 'A VM is locked'],
  'vm.crypto.unlocked': ['info', 'A VM is unlocked again'],
  'user.login': ['info', 'A user logged in'],
  'user.login-failed': ['warning', 'A login failed'],
  'user.changed': ['info', 'A user, role or token was made, changed or removed'],
} as const satisfies Record<string, readonly [Severity, string]>

export type EventType = keyof typeof eventTypes
