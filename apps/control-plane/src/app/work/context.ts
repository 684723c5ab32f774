import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Audit } from '../audit/audit-entry.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Events, HostConnections, KeyProviders } from '../ports.ts'
import type { Labels } from '../settings.ts'

/** The database, or a transaction of it. */
export type Database = Kysely<Schema> | Transaction<Schema>

/** How long the work waits for what; tests wait less. All in milliseconds. */
export interface Timings {
  /** Between two looks at an agent's operation, at most. */
  readonly pollMs: number
  /** Before the first new try of something that failed; doubles up to `retryMaxMs`. */
  readonly retryMs: number
  readonly retryMaxMs: number
  /** How long a task that has not asked its host for anything yet waits for the host to come back. */
  readonly hostReturnMs: number
  /** How long a host that is removed has for forgetting its keys; what it did not confirm by then is exposed. */
  readonly hostLeaveMs: number
  /** How long an import waits for its content to come, or to go on. */
  readonly contentWaitMs: number
  /** Between two looks for VMs whose grace is over. */
  readonly policyWatchMs: number
  /** Between two comparisons of all VMs with their policies. */
  readonly complianceMs: number
  /** Between two looks at the campaigns. */
  readonly campaignsMs: number
  /** Before a campaign tries again what failed; doubles a few times. */
  readonly campaignRetryMs: number
}

export const defaultTimings: Timings = {
  pollMs: 500,
  retryMs: 1_000,
  retryMaxMs: 30_000,
  hostReturnMs: 120_000,
  hostLeaveMs: 120_000,
  contentWaitMs: 300_000,
  policyWatchMs: 5_000,
  complianceMs: 600_000,
  campaignsMs: 2_000,
  campaignRetryMs: 30_000,
}

/** What every part of the work is built from. */
export interface WorkContext {
  readonly database: Kysely<Schema>
  readonly events: Events
  /** Has every KEK that is fetched or handed over. */
  readonly audit: Audit
  readonly keyProviders: KeyProviders
  readonly hostConnections: HostConnections
  readonly clock: Clock
  readonly log: Log
  readonly labels: Labels
  readonly timings: Timings
  /** Fires when the control plane stops: whoever waits gives up, writes nothing more and goes on after the next start. */
  readonly stopping: AbortSignal
}
