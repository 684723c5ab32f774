import type { OnRevocation } from '@cryptvisor/control-plane-api'

/** A storage policy. 0 and 1 for booleans. */
export interface PolicyRow {
  id: string
  name: string
  description: string
  encryption: number
  /** Whether raw disks that are encrypted become qcow2. */
  thin: number
  /** By name; null: the default one. */
  key_provider: string | null
  hardened: number
  rotation_days: number | null
  on_revocation: OnRevocation
  grace_minutes: number | null
  /** Whether all that is written has to be read back. */
  verify: number
  /** Grows with each change of a rule. */
  version: number
  /** Whether it is one of those that are always there. */
  system: number
  changed_at: number | null
  changed_by: string | null
}

/** Whether a VM complies with its policies, as it was found last. */
export interface VmComplianceRow {
  vm_id: string
  state: 'compliant' | 'non-compliant' | 'unknown'
  /** JSON array of `ComplianceReason`. */
  reasons: string
  /** Since when the state is that. */
  since: number
  checked_at: number
}

/** A KEK that was found unusable at its provider, for as long as it is so. */
export interface KeyRevocationRow {
  provider: string
  key_id: string
  /** What the provider said, such as `Deactivated`; `missing`: it does not have the key. */
  state: string
  found_at: number
}

/** What a revoked KEK means for a VM that uses it. */
export interface VmRevocationRow {
  vm_id: string
  provider: string
  key_id: string
  rule: OnRevocation
  /** The policy that says so, by name. */
  policy: string
  found_at: number
  /** When the VM is stopped; null: never. */
  stop_at: number | null
  /** When it was; the hosts have no key for it any more. */
  stopped_at: number | null
}

/** A layer that belongs to no VM any more and lies on its datastore still. Its KEKs count as used. */
export interface DetachedDiskRow {
  layer_id: string
  /** The ID that it had as a disk. */
  disk_id: string
  datastore_id: string
  /** Of the datastore, in which the layer's file lies. */
  folder: string
  number: number
  format: 'raw' | 'qcow2'
  payload_bytes: number
  virtual_bytes: number
  /** As `disk.encryption`. */
  encryption: string | null
  /** The block device that it lies on; null: a file in the folder. */
  device: string | null
  /** The VM that it was a disk of, which may be gone. */
  vm_id: string
  vm_name: string
  detached_at: number
  detached_by: string
  /** The task that attaches or removes it just now. */
  task_id: string | null
}
