import type { Timings } from './context.ts'

/** How long to wait before try number `failureCount` + 1: twice as long each time, up to a limit. */
export function retryDelayMs(timings: Timings, failureCount: number): number {
  return Math.min(timings.retryMs * 2 ** Math.min(failureCount, 20), timings.retryMaxMs)
}
