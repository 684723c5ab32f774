/** Which host has a VM to run it, and how that is. A VM without a row was never started here. */
export interface MachineRow {
  vm_id: string
  /** Who has the lease; of a VM that is off, who had it last. */
  host_id: string
  /** Raised in the transaction that lets a host start the VM; never given twice. */
  lease: number
  /**
   * `starting` and `stopping`: a task of ours is at it. `failed`: QEMU stopped the guest by itself. `unknown`: its host is not
   * connected, or did not say.
   */
  state: 'off' | 'starting' | 'running' | 'paused' | 'stopping' | 'failed' | 'unknown'
  /** In words, where there is something to say. */
  reason: string | null
  since: number
  /** Of the newest status that its host gave under this lease; -1: none. */
  revision: number
  acceleration: 'kvm' | 'tcg' | null
  qemu: string | null
  /** When its host told of it last; null: it never did. */
  reported_at: number | null
}

/** A machine that runs on a host and is not that host's to run: the VM is unknown here, or another host has its lease. */
export interface StrayMachineRow {
  host_id: string
  vm_id: string
  lease: number
  state: string
  since: number
  reported_at: number
}
