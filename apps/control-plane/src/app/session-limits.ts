import type { BearerRow } from '../database/schema.ts'

/** When sessions end by themselves before their time is over. */
export interface SessionLimits {
  /** So long nobody has to use one. */
  readonly idleMs: number
}

/** As by default. */
export const defaultSessionLimits: SessionLimits = { idleMs: 60 * 60_000 }

/** How exactly it is known when a bearer token was used last: it is written once in this time, not at each request. */
export const lastUsedStepMs = 60_000

/** Whether nobody has used a session for too long. It is never so too early: what is known of its last use may be a step old. */
export function isIdle(
  row: Pick<BearerRow, 'kind' | 'created_at' | 'last_used_at'>,
  now: number,
  { idleMs }: SessionLimits,
): boolean {
  if (row.kind !== 'session') return false
  return (row.last_used_at ?? row.created_at) + idleMs + lastUsedStepMs <= now
}
