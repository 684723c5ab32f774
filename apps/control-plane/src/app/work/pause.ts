import { setTimeout } from 'node:timers/promises'
import type { Timings } from './context.ts'

/** Waits `ms` milliseconds; throws the reason of `signal` when that fires first. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** How long to wait before try number `failureCount` + 1: twice as long each time, up to a limit. */
export function retryDelayMs(timings: Timings, failureCount: number): number {
  return Math.min(timings.retryMs * 2 ** Math.min(failureCount, 20), timings.retryMaxMs)
}
