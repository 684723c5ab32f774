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
/** Which events; times are RFC 3339. `severity`: this one and those above. */
export interface EventQuery {
  readonly type?: string
  readonly vm?: string
  readonly host?: string
  readonly severity?: string
  readonly user?: string
  readonly since?: string
  readonly until?: string
  readonly before?: number
  readonly after?: number
  readonly limit?: number
}

export const EventList = Type.Object({ events: Type.Array(Event) })

/**
 * Every event type: its severity, what it says, and vSphere's identifier of the same event (an `eventTypeId`, or the class of
 * an older event); `null`: vSphere has no such event. `docs/events.md` is made from it.
 */
export const eventTypes = {
  'host.crypto.send-key-error': [
    'error',
    'Keys could not be added to a host',
    'com.vmware.vc.host.Crypto.SendKeyError.HostError',
  ],
  'kms.crypto.key-missing': [
    'error',
    'A key is missing in the key server',
    'com.vmware.vc.kms.crypto.SendKeyError.KeyMissingOnKMS',
  ],
  'kms.crypto.connection-error': [
    'error',
    'The key server cannot be reached',
    'com.vmware.vc.kms.crypto.SendKeyError.KMSClusterError',
  ],
  'kms.crypto.labels-refused': ['warning', 'The key server refused the labels of a key', null],
  'kms.crypto.key-created': ['info', 'A key was made', 'com.vmware.vc.crypto.Operation'],
  'kms.crypto.key-destroyed': [
    'info',
    'A key that nothing uses was revoked and destroyed',
    'com.vmware.vc.crypto.Operation',
  ],
  'kms.crypto.key-cleanup-failed': ['warning', 'A key that nothing uses could not be destroyed', null],
  'kms.crypto.error': ['error', 'The key server refused a request', 'com.vmware.vc.kms.crypto.KeyGenerateFail'],
  'kms.crypto.key-unavailable': [
    'error',
    'A key that is in use is gone, revoked or another one at its key server; told before a restart needs it',
    null,
  ],
  'kms.crypto.key-available': ['info', 'A key that was not as it should be can be had again', null],
  'kms.crypto.key-order-scheduled': ['warning', 'A key is going to be revoked or destroyed', null],
  'kms.crypto.key-restored': ['info', 'The destruction of a key was taken back', null],
  'kms.crypto.key-revoked': ['info', 'A key that nothing uses was revoked', null],
  'kms.crypto.key-revoked-in-use': ['error', 'A key in use was revoked, as a second user approved', null],
  'kms.crypto.key-destroyed-in-use': ['error', 'A key in use was destroyed, as a second user approved', null],
  'kms.crypto.key-order-failed': ['warning', 'A key could not be revoked or destroyed yet', null],
  'kms.crypto.key-order-refused': ['warning', 'A key was not revoked or destroyed, since something uses it', null],
  'approval.requested': ['warning', 'Somebody asks for something that a second user has to approve', null],
  'approval.approved': ['warning', 'A second user approved what was asked for', null],
  'approval.rejected': ['info', 'What was asked for was rejected', null],
  'approval.withdrawn': ['info', 'What was asked for was withdrawn', null],
  'vm.crypto.erasing': ['warning', 'The keys of a VM are being destroyed for good', null],
  'vm.crypto.erased': ['warning', 'All keys of a VM were destroyed; there is a certificate', null],
  'kms.crypto.not-backed-up': [
    'warning',
    'A native key provider is not backed up, and makes no keys before it is',
    'com.vmware.vc.kms.crypto.NotBackedUp',
  ],
  'kms.crypto.not-backed-up-after-update': [
    'warning',
    'A native key provider has a new derivation key, which is not backed up',
    'com.vmware.vc.kms.crypto.NotBackedUpAfterUpdate',
  ],
  'kms.crypto.all-backed-up': [
    'info',
    'A native key provider is backed up with all its derivation keys',
    'com.vmware.vc.kms.crypto.AllBackedUp',
  ],
  'key-provider.backup-exported': ['warning', 'A backup of a native key provider was read out', null],
  'key-provider.restored': ['info', 'A native key provider was restored from its backup', null],
  'key-provider.rotated': ['info', 'A native key provider got a new derivation key', null],
  'key-provider.generation-destroyed': [
    'warning',
    'A derivation key of a native key provider was destroyed, and its keys with it',
    null,
  ],
  'key-provider.key-type-changed': ['info', 'A key provider gives keys of another type from now on', null],
  'key-provider.wrapping-key-changed': ['info', 'A key provider takes another wrapping key from now on', null],
  'key-provider.added': ['info', 'A key provider was added', null],
  'key-provider.removed': ['info', 'A key provider was removed', null],
  'key-provider.default-changed': ['info', 'Another key provider became the default', null],
  'key-provider.changed': ['info', 'Servers, name or trust of a key provider were changed', null],
  'key-provider.healthy': ['info', 'A key provider is well again', null],
  'key-provider.degraded': ['warning', 'A key provider works, and something wants attention', null],
  'key-provider.unhealthy': [
    'error',
    'A key provider answers, and its keys cannot be had',
    'com.vmware.vc.kms.crypto.Unreachable',
  ],
  'key-provider.certificate-changed': ['warning', 'A key server shows another certificate than before', null],
  'key-provider.client-certificate-due': [
    'warning',
    'A new client certificate was made for a key provider, and the key server has to be told',
    'com.vmware.vc.vecs.KMSClientCertExpirationEvent',
  ],
  'host.enrolled': ['info', 'A host was enrolled', 'HostAddedEvent'],
  'host.connected': ['info', 'A host connected', 'HostConnectedEvent'],
  'host.disconnected': ['warning', 'A host disconnected', 'HostDisconnectedEvent'],
  'host.session-replaced': ['warning', 'A second session of a host took the place of the first', null],
  'host.address-changed': ['warning', 'A host answers at another address than it was enrolled with', null],
  'host.removed': ['info', 'A host was removed', 'HostRemovedEvent'],
  'host.crypto.enabled': ['info', 'A host holds its host key and is crypto-safe', 'com.vmware.vc.host.Crypto.Enabled'],
  'host.crypto.enable-failed': [
    'error',
    'A host could not be made crypto-safe',
    'com.vmware.vc.host.Crypto.ReqEnable.KMSClusterError',
  ],
  'host.crypto.host-key-missing': [
    'error',
    'A host started and cannot be given its host key: it is not crypto-safe until then',
    'com.vmware.vc.host.Crypto.ReqEnable.KMSClusterError',
  ],
  'host.crypto.keys-missing': ['error', 'A host cannot be given all keys that it needs', null],
  'host.crypto.keys-complete': ['info', 'A host holds all keys that it needs again', null],
  'host.crypto.disabled': ['info', 'Encryption was disabled on a host', null],
  'host.crypto.incapable': ['info', 'A host on which encryption was disabled holds no key any more', null],
  'host.key-persistence.enabled': ['info', 'A host keeps its keys across restarts, sealed to its TPM', null],
  'host.key-persistence.disabled': ['info', 'A host keeps no keys across restarts any more', null],
  'host.key-persistence.failed': ['warning', 'A host cannot keep its keys across restarts as was chosen', null],
  'host.crypto.host-key-changed': ['info', 'A host has another host key', 'com.vmware.vc.crypto.HostKeyUpdatedEvent'],
  'host.crypto.host-key-change-failed': [
    'error',
    'A host could not be given another host key',
    'com.vmware.vc.host.Crypto.HostKey.NewKey.KMSClusterError',
  ],
  'host.certificate-renewed': ['info', 'A host shows a new certificate; its older one is worthless', null],
  'host.moved': ['info', 'A host was moved to another cluster', 'HostMovedEvent'],
  'host.decommissioned': [
    'info',
    'A host was taken out of service; its certificate is revoked',
    'com.vmware.vc.TrustAuthority.DecommissionHost',
  ],
  'cluster.crypto-mode-changed': ['info', 'When the hosts of a cluster are made crypto-safe was changed', null],
  'host.crypto.keys-sent': ['info', 'A host was given the keys of its cluster', 'com.vmware.vc.crypto.Operation'],
  'host.crypto.keys-forgotten': ['info', 'A host that was removed forgot its keys', 'com.vmware.vc.crypto.Operation'],
  'host.crypto.key-exposed': ['warning', 'A host that was removed may still hold a key', null],
  'host.core-dump-opened': ['info', 'A core dump of a host is opened and read out, plain', null],
  'vm.created': ['info', 'A VM was created', 'VmCreatedEvent'],
  'vm.deleted': ['info', 'A VM was deleted', 'VmRemovedEvent'],
  'vm.disk-added': ['info', 'A disk was added', 'VmReconfiguredEvent'],
  'vm.disk-exported': ['info', 'A disk is read out, plain', null],
  'vm.disk-export-failed': ['warning', 'Reading a disk out broke off', null],
  'vm.header-backed-up': ['info', 'The header of an encrypted disk is read out, for a backup', null],
  'vm.header-backup-failed': ['warning', 'Reading the header of a disk out broke off', null],
  'vm.header-restored': ['info', 'The header of an encrypted disk was written back from a backup', null],
  'vm.crypto.encrypted': ['info', 'A VM or parts of it were encrypted', 'com.vmware.vc.crypto.Operation'],
  'vm.crypto.decrypted': ['info', 'A VM or parts of it were decrypted', 'com.vmware.vc.crypto.Operation'],
  'campaign.changed': ['info', 'A rekey campaign was made, paused, resumed or removed', null],
  'campaign.started': ['info', 'A run of a rekey campaign began', null],
  'campaign.waiting': ['warning', 'A rekey campaign waits, since a key provider cannot be had', null],
  'campaign.ended': ['info', 'A run of a rekey campaign ended', null],
  'campaign.failed': ['error', 'A run of a rekey campaign ended and VMs were not rekeyed', null],
  'key-provider.migrated': ['info', 'Everything of a key provider was moved to another one', null],
  'key-provider.migration-failed': ['error', 'Not everything of a key provider could be moved to another one', null],
  'vm.crypto.rekeyed': ['info', 'A VM or parts of it were rekeyed', 'com.vmware.vc.crypto.Operation'],
  'vm.crypto.failed': [
    'error',
    'An encryption, a decryption or a rekey failed; the text says what became of the VM',
    'com.vmware.vc.vm.crypto.RekeyFail',
  ],
  'vm.crypto.locked': ['warning', 'A VM is locked', 'com.vmware.vc.vm.Crypto.VMLocked.KeyMissingOnHost'],
  'vm.crypto.locked-key-missing': [
    'error',
    'A VM is locked: its key is missing in the key server',
    'com.vmware.vc.vm.Crypto.VMLocked.KeyMissingOnKMS',
  ],
  'vm.crypto.locked-kms-unreachable': [
    'error',
    'A VM is locked: its key server cannot be reached, or refuses',
    'com.vmware.vc.vm.Crypto.VMLocked.KMSClusterError',
  ],
  'vm.crypto.locked-key-revoked': ['warning', 'A VM is locked: its key was revoked', null],
  'vm.crypto.locked-damaged': ['error', 'A VM is locked: a key record, a header or a file is damaged or missing', null],
  'vm.crypto.unlocked': ['info', 'A VM is unlocked again', 'com.vmware.vc.vm.Crypto.VMUnlocked'],
  'vm.crypto.key-revoked': [
    'warning',
    'The key of a VM is revoked or gone; the text says what becomes of the VM',
    null,
  ],
  'vm.crypto.key-restored': ['info', 'The key of a VM that was revoked or gone is good again', null],
  'vm.crypto.stopped': ['error', 'A VM was stopped since its key was revoked: its hosts forgot the key', null],
  'vm.policy.drift': ['warning', 'A VM does not comply with its storage policies any more', null],
  'vm.policy.compliant': ['info', 'A VM complies with its storage policies again', null],
  'vm.policy.changed': ['info', 'A VM or parts of it got another storage policy', 'VmReconfiguredEvent'],
  'vm.disk-detached': ['info', 'A disk was detached from a VM; its layer stays', 'VmReconfiguredEvent'],
  'vm.disk-attached': ['info', 'A disk that was detached was attached to a VM', 'VmReconfiguredEvent'],
  'vm.disk-removed': ['info', 'A disk was removed with its data', 'VmReconfiguredEvent'],
  'policy.applied': ['info', 'VMs were brought into line with their storage policies', null],
  'policy.added': ['info', 'A storage policy was made', null],
  'policy.changed': ['info', 'A storage policy was changed', null],
  'policy.removed': ['info', 'A storage policy was removed', null],
  'user.login': ['info', 'A user logged in', 'UserLoginSessionEvent'],
  'user.login-failed': ['warning', 'A login failed', 'BadUsernameSessionEvent'],
  'user.changed': ['info', 'A user, group, role or token was made, changed or removed', null],
  'user.second-factor-changed': [
    'warning',
    'A second factor was set up, taken off or used up, or who needs one was changed',
    null,
  ],
  'identity-source.changed': ['warning', 'Where users come from, or which group they get, was changed', null],
  'identity-source.failed': [
    'error',
    'An identity source could not be asked, or gave an answer that does not hold',
    null,
  ],
  'identity-source.recovered': ['info', 'A directory can be used again', null],
  'identity-source.user-ended': [
    'warning',
    'A directory says that a user is gone, may not log in, or is in no mapped group: their sessions and API tokens are over',
    null,
  ],
  'permission.changed': ['info', 'A permission was given, changed or taken away', 'PermissionUpdatedEvent'],
  'folder.changed': ['info', 'A folder was made, renamed, moved or removed', null],
  'vm.moved': ['info', 'A VM was moved to another folder', null],
  'alarm.red': ['error', 'Something is wrong and needs somebody now', 'AlarmStatusChangedEvent'],
  'alarm.yellow': ['warning', 'Something wants attention', 'AlarmStatusChangedEvent'],
  'alarm.acknowledged': ['info', 'Somebody takes care of an alarm', 'AlarmAcknowledgedEvent'],
  'alarm.cleared': ['info', 'An alarm is over', 'AlarmClearedEvent'],
  'alarm.definition-changed': [
    'warning',
    'A kind of alarm was switched off or on, or has another threshold',
    'AlarmReconfiguredEvent',
  ],
  'notification.changed': ['warning', 'Where notifications are sent to was changed', null],
  'notification.undeliverable': ['error', 'Notifications could not be delivered for a long time', null],
  'notification.delivered-again': ['info', 'Notifications are delivered again', null],
  'event.retention-changed': ['warning', 'How long events and alarms are kept was changed', null],
  'event.pruned': ['warning', 'Old events were removed', null],
  'audit.pruned': [
    'warning',
    'Records of the audit were removed after their export; a signed checkpoint stands for them',
    null,
  ],
  'audit.chain-broken': ['error', 'A record of the audit is missing, or not as it was written', null],
  'audit.chain-whole': ['info', 'The audit is whole again', null],
  'host.certificate-accepted': ['warning', 'A certificate that a host renewed after the backup was accepted', null],
  'system.restored': ['warning', 'The control plane was restored from a backup', null],
  'system.settled': ['info', 'Hosts and datastores were looked at after a restore', null],
  'system.superseded': ['error', 'A host has talked to a newer control plane of this installation', null],
  'system.backup-made': ['info', 'A backup of the control plane was made', null],
  'system.backup-failed': ['error', 'A scheduled backup of the control plane failed', null],
  'system.backup-schedule-changed': ['info', 'Backups are made at other times, or no more', null],
  'vm.registered': ['info', 'A VM was taken into the inventory from its files', 'VmRegisteredEvent'],
  'vm.unregistered': ['info', 'A VM was taken out of the inventory; its files stay', 'VmRemovedEvent'],
  'vm.reconciled': ['warning', 'What a datastore says of a VM was accepted', null],
} as const satisfies Record<string, readonly [severity: Severity, text: string, vsphereId: string | null]>

export type EventType = keyof typeof eventTypes
