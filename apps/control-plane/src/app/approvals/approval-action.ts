import type { Impact, Privilege } from '@cryptvisor/control-plane-api'
import type { Transaction } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Events, Principal } from '../ports.ts'
import type { Database } from '../work/context.ts'

/** A request that was approved, as it is carried out. */
export interface Decision {
  readonly approvalId: string
  readonly requestedBy: string
  readonly approvedBy: Principal
  readonly reason: string | null
  /**
   * To be called in the transaction that begins what was approved: makes sure that it still may be and is what was
   * shown, and uses the approval up. Gives the impact that was approved. Throws `ControlPlaneError`.
   */
  readonly use: (transaction: Transaction<Schema>, record: Events['record'], taskId: string | null) => Promise<Impact>
}

/** Something destructive that needs a second user. `Request` is JSON. */
export interface ApprovalAction<Request> {
  /** Such as `key.destroy`. */
  readonly name: string
  /** What whoever approves needs, beside being somebody else. */
  readonly privileges: readonly Privilege[]
  /** Throws `no-privilege` or `not-found` for whoever may not have it done to the very object; for both users. */
  requireMay?(database: Database, request: Request, by: Principal): Promise<void>
  /** What dies by it, from the database as it is. Throws `ControlPlaneError` when it cannot be done (any more). */
  impact(database: Database, request: Request): Promise<Impact>
  /** Begins it. What it does in the database happens in the transaction that uses the approval up, and nothing before. */
  carryOut(request: Request, decision: Decision): Promise<void>
}
