import type { TaskTarget } from '@cryptvisor/control-plane-api'
import type { Generated } from 'kysely'
import type { FolderRow, GroupMemberRow, PermissionRow, UserGroupRow } from './access-rows.ts'
import type { AccountActRow } from './account-act-rows.ts'
import type { AlarmRow, AlarmSettingRow, RetentionRow } from './alarm-rows.ts'
import type { AuditCheckpointRow, AuditHeadRow, AuditRow } from './audit-rows.ts'
import type { CampaignItemRow, CampaignRow, CampaignRunRow } from './campaign-rows.ts'
import type { ExposedKeyRow, HostKeyGapRow, KeyHealthRow } from './host-rows.ts'
import type { ExternalUserRow, GroupMappingRow, IdentitySourceRow } from './identity-rows.ts'
import type { ApprovalRow, ErasureRow, KeyOrderRow, VmErasingRow, VmKeyRow } from './key-life-rows.ts'
import type { LoginRuleRow, RecoveryCodeRow, SecondFactorRow } from './login-rows.ts'
import type { MachineRow, StrayMachineRow } from './machine-rows.ts'
import type { DerivationKeyRow, NativeKeyRow, NativeProviderRow } from './native-rows.ts'
import type { NotificationLossRow, NotificationTargetRow } from './notification-rows.ts'
import type { DetachedDiskRow, KeyRevocationRow, PolicyRow, VmComplianceRow, VmRevocationRow } from './policy-rows.ts'
import type { ProbeKeyRow, ProviderDefaultRow, ProviderHealthRow, ProviderIdentityRow } from './provider-rows.ts'
import type { RequestKeyRow } from './request-key-rows.ts'
import type { BackupScheduleRow, InstallationRow, UnregisteredVmRow } from './running-rows.ts'
import type { WrappingKeyRow } from './wrapping-rows.ts'

/*
 * One dialect-neutral schema: TEXT UUIDv7 keys, INTEGER epoch milliseconds, JSON as TEXT, 0 and 1 for booleans. There is
 * no column for a KEK, and no column that could hold one: keys are named by provider and key ID (DESIGN.md, section 1).
 */

export interface ClusterRow {
  id: string
  name: string
  /** 1: hosts are made crypto-safe when they connect; 0 and null: when they are needed. */
  crypto_forced: number | null
}

export interface HostRow {
  id: string
  name: string
  cluster_id: string
  url: string
  hardware_uuid: string
  /** Serial number of the certificate that is good now; all others of this host are not. */
  certificate_serial: string
  certificate_expires_at: number
  version: string | null
  last_seen_at: number | null
  crypto_supported: number
  host_key_provider: string | null
  host_key_id: string | null
  created_at: number
  /** Of the start of its agent that had a session last. */
  boot_id: string | null
  /** Who wants it to be made crypto-safe as soon as that can be done. */
  crypto_wanted_by: string | null
  /** Since when encryption is disabled on it; null: it is not. */
  crypto_off_at: number | null
  /** The start of its agent that did not confirm that it forgot its keys when encryption was disabled. */
  crypto_off_boot_id: string | null
  /** The task that takes it out of its cluster: it gets no key meanwhile. */
  leaving_task_id: string | null
  decommissioned_at: number | null
  /** Of the certificate that was signed to take the place of the present one, and was not shown yet. */
  next_certificate_serial: string | null
  next_certificate_expires_at: number | null
  /** When the present certificate was signed; null: before this was kept. */
  certificate_begins_at: number | null
  /** For how many days without the control plane it is to keep its keys, sealed to its TPM; null: not at all. */
  key_persistence_days: number | null
  /** Since when; null: it does not. */
  key_persistence_since: number | null
  /** For how many days it may have kept some, until it confirms that it erased them; null: it keeps none. */
  keys_kept_days: number | null
}

export interface EnrolmentTokenRow {
  /** SHA-256 of the token's secret, hex. */
  secret_sha256: string
  host_name: string
  cluster_id: string
  expires_at: number
  created_by: string
}

export interface DatastoreRow {
  id: string
  name: string
  cluster_id: string
  path: string
}

export interface VmRow {
  /** The instance UUID. */
  id: string
  name: string
  host_id: string
  datastore_id: string
  /** On the datastore. */
  folder: string
  /** Of the inventory; null: directly under the root. */
  folder_id: string | null
  generation: number
  policy_id: string
  /** The version of the policy that was applied. */
  policy_version: number
  /** VM Home's authority as JSON (`EncryptionAuthority`); null: plain. */
  encryption: string | null
  /** As the host said last. */
  lock_state: 'unlocked' | 'locked' | 'unknown'
  lock_text: string | null
  /** JSON array of key references. */
  lock_missing_keys: string
  /** A `LockCause`; null: it is not locked, or that is not known. */
  lock_cause: string | null
  lock_since: number | null
  /** The task that has the VM to itself. */
  task_id: string | null
  created_at: number
}

export interface DiskRow {
  id: string
  vm_id: string
  number: number
  layer_id: string
  format: 'raw' | 'qcow2'
  payload_bytes: number
  virtual_bytes: number
  policy_id: string
  /** The version of the policy that was applied. */
  policy_version: number
  /** The layer's authority as JSON (`EncryptionAuthority`); null: plain. */
  encryption: string | null
  /** The block device that it lies on; null: a file in the VM's folder. */
  device: string | null
}

/** Every KEK that was ever made for a VM or a host, by name; kept after its end for crypto-erase. */
export interface KeyRow {
  provider: string
  key_id: string
  /** `key-provider`: a wrapping key, which many VMs have. */
  owner_kind: 'vm' | 'host' | 'key-provider'
  owner_id: string
  owner_name: string
  task_id: string | null
  /**
   * `pending`: made, wraps nothing yet. `current`: wraps DEKs, or is a host key. `retired`: wrapped some once, or was
   * the host key of a host that was removed. `discarded`: wrapped nothing, to be revoked and destroyed. `destroyed`:
   * that was done.
   */
  state: 'pending' | 'current' | 'retired' | 'discarded' | 'destroyed'
  created_at: number
  /** Since when it is `retired`; null also where that was before this was kept. */
  retired_at: number | null
}

export interface KeyProviderRow {
  /** Also its ID in key records; never changes. */
  name: string
  /** What people call it, where that is not its name. */
  display_name: string | null
  is_default: number
  /** JSON array of `{host, port, fingerprint256?}`, in order; the last one pins the server's certificate. */
  servers: string
  /** PEM, any number; the certificate of a server that is not pinned must stand under one of them. */
  server_ca: string
  created_at: number
}

export interface TaskRow {
  id: string
  type: string
  target_kind: TaskTarget['kind']
  target_id: string
  target_name: string
  state: 'queued' | 'running' | 'success' | 'error' | 'cancelled'
  step: string
  done_bytes: number
  total_bytes: number
  key_provider: string | null
  key_id: string | null
  cancel_requested: number
  error_code: string | null
  error_message: string | null
  /** What the saga needs to go on after a restart, as JSON. Never a key. */
  context: string
  user_name: string
  created_at: number
  started_at: number | null
  ended_at: number | null
}

export interface EventRow {
  id: Generated<number>
  type: string
  severity: string
  time: number
  host_name: string | null
  vm_name: string | null
  provider: string | null
  key_id: string | null
  text: string
  user_name: string | null
  task_id: string | null
  /** Of the VM and the host that are named, when they were there; null: neither. */
  vm_id: string | null
  host_id: string | null
}

export interface RoleRow {
  name: string
  /** JSON array. */
  privileges: string
  system: number
}

export interface UserRow {
  name: string
  /** `argon2id$…` in PHC string format. */
  password_hash: string
  created_at: number
}

/** Wrong passwords in a row for a user from one address. */
export interface LoginFailureRow {
  user_name: string
  /** As `addressGroup` gives it. */
  address: string
  failed_count: number
  failed_at: number
  locked_until: number | null
}

/** Login sessions and API tokens alike: a bearer token by its hash. */
export interface BearerRow {
  id: string
  token_sha256: string
  kind: 'session' | 'api-token'
  name: string
  user_name: string
  created_at: number
  expires_at: number | null
  last_used_at: number | null
  /** Where a session was begun; null: not known, or an API token. */
  address: string | null
}

/** What is sealed under the root key: the barrier's own entries (`SealedTable`), the CA's key, client keys that wait. */
export interface SealedRow {
  name: string
  value: Uint8Array
  /** When it is to be forgotten; null: never. */
  expires_at: number | null
}

export interface Schema {
  cluster: ClusterRow
  host: HostRow
  enrolment_token: EnrolmentTokenRow
  datastore: DatastoreRow
  policy: PolicyRow
  vm_compliance: VmComplianceRow
  key_revocation: KeyRevocationRow
  vm_revocation: VmRevocationRow
  detached_disk: DetachedDiskRow
  vm: VmRow
  machine: MachineRow
  stray_machine: StrayMachineRow
  disk: DiskRow
  key: KeyRow
  vm_key: VmKeyRow
  key_order: KeyOrderRow
  approval: ApprovalRow
  erasure: ErasureRow
  vm_erasing: VmErasingRow
  key_provider: KeyProviderRow
  wrapping_key: WrappingKeyRow
  native_provider: NativeProviderRow
  derivation_key: DerivationKeyRow
  native_key: NativeKeyRow
  provider_identity: ProviderIdentityRow
  provider_health: ProviderHealthRow
  probe_key: ProbeKeyRow
  provider_default: ProviderDefaultRow
  task: TaskRow
  event: EventRow
  folder: FolderRow
  role: RoleRow
  user: UserRow
  account_act: AccountActRow
  user_group: UserGroupRow
  group_member: GroupMemberRow
  permission: PermissionRow
  login_failure: LoginFailureRow
  bearer: BearerRow
  second_factor: SecondFactorRow
  recovery_code: RecoveryCodeRow
  login_rule: LoginRuleRow
  identity_source: IdentitySourceRow
  group_mapping: GroupMappingRow
  external_user: ExternalUserRow
  sealed: SealedRow
  installation: InstallationRow
  backup_schedule: BackupScheduleRow
  unregistered_vm: UnregisteredVmRow
  key_health: KeyHealthRow
  exposed_key: ExposedKeyRow
  host_key_gap: HostKeyGapRow
  request_key: RequestKeyRow
  audit: AuditRow
  alarm: AlarmRow
  alarm_setting: AlarmSettingRow
  retention: RetentionRow
  notification_target: NotificationTargetRow
  notification_loss: NotificationLossRow
  audit_head: AuditHeadRow
  audit_checkpoint: AuditCheckpointRow
  campaign: CampaignRow
  campaign_run: CampaignRunRow
  campaign_item: CampaignItemRow
}
