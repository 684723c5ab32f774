/** A KEK that wraps, or wrapped once, a DEK of a VM: crypto-erase has to find all of them. Kept when the VM is gone. */
export interface VmKeyRow {
  vm_id: string
  provider: string
  key_id: string
}

/** What a user asked to be done to a key at its provider, and what became of it. */
export interface KeyOrderRow {
  id: string
  provider: string
  key_id: string
  action: 'revoke' | 'destroy'
  cause: 'cessation-of-operation' | 'key-compromise'
  /**
   * `scheduled`: waits until `due_at`, and can be taken back. `at-work`: the provider is asked, again and again; there is
   * no way back. `restored`: somebody took it back. `refused`: when it was due, the key was in use.
   */
  state: 'scheduled' | 'at-work' | 'done' | 'restored' | 'refused'
  due_at: number
  user_name: string
  approved_by: string | null
  approval_id: string | null
  reason: string | null
  /** What was known to die with the key when it was approved, as JSON (`Impact`); null: nothing may. */
  impact: string | null
  /** Why it was not done yet, or at all. */
  problem: string | null
  created_at: number
  ended_at: number | null
}

/** A destructive request that waits for a second user. */
export interface ApprovalRow {
  id: string
  /** The name of an `ApprovalAction`. */
  action: string
  /** What it is about, in words. */
  subject: string
  /** What was asked for, as JSON. */
  request: string
  /** What dies by it as far as was known when it was shown last, as JSON (`Impact`). */
  impact: string
  /** The same, as the requester was shown it. */
  impact_requested: string
  state: 'pending' | 'approved' | 'rejected' | 'withdrawn'
  reason: string | null
  requested_by: string
  created_at: number
  expires_at: number
  decided_by: string | null
  decided_at: number | null
  comment: string | null
  /** The task that carries it out. */
  task_id: string | null
}

/** The certificate of a VM's erasure; there is no foreign key, since the VM is gone. */
export interface ErasureRow {
  id: string
  vm_id: string
  vm_name: string
  task_id: string
  created_at: number
  /** The JSON Web Signature, flattened JSON serialization (RFC 7515, 7.2.2). */
  statement: string
}

/** A VM whose keys are being destroyed for good: no host is given them any more. */
export interface VmErasingRow {
  vm_id: string
}
