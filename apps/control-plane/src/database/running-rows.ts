/** What this control plane is; one row. */
export interface InstallationRow {
  /** Always 1. */
  id: number
  /** Stays through every backup and restore. */
  installation_id: string
  /**
   * Grows with every restore: of two control planes of one installation the one with the higher epoch counts. 1 at first,
   * then the time of the restore in epoch milliseconds.
   */
  epoch: number
  /** When the last restore was; null: never. */
  restored_at: number | null
  /** When the backup was made that it came from. */
  restored_from: number | null
  /** 1: after a restore, until somebody says that hosts and datastores were looked at. No key is destroyed or taken from a host. */
  on_hold: number
}

/** When and where backups are made by themselves, and how the last ones went; one row. */
export interface BackupScheduleRow {
  /** Always 1. */
  id: number
  /** Absolute; null: no schedule. */
  folder: string | null
  interval_ms: number | null
  /** How many files of ours stay in the folder. */
  keep_count: number | null
  /** Of a backup that was made, by the schedule or by hand. */
  last_success_at: number | null
  last_attempt_at: number | null
  /** Why the last attempt of the schedule failed; null: it did not. */
  last_failure: string | null
}

/** A VM that was taken out of the inventory while its files stay; its KEKs are still needed. */
export interface UnregisteredVmRow {
  vm_id: string
  name: string
  datastore_name: string
  folder: string
  /** JSON array of key references. */
  keys: string
  user_name: string
  unregistered_at: number
}
