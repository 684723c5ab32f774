/** So many wrong passwords in a row cost nothing. */
export const failuresFree = 5
const firstDelayMs = 30_000
const delayMaxMs = 3_600_000

/**
 * Until when a user cannot log in after `failedCount` wrong passwords in a row, the last of them at `now`: 30 s after
 * the fifth, twice as long after each more, an hour at most. `null`: at once.
 */
export function lockedUntil(failedCount: number, now: number): number | null {
  if (failedCount < failuresFree) return null
  const doublings = Math.min(failedCount - failuresFree, 20)
  return now + Math.min(firstDelayMs * 2 ** doublings, delayMaxMs)
}
