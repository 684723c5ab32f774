import { setTimeout } from 'node:timers/promises'

/** Waits `ms` milliseconds; throws the reason of `signal` when that fires first. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
