/** When a host that is connected counts as gone although its connection never closed. */
export interface WatchLimits {
  /** How long after one answer the next question comes. */
  readonly everyMs: number
  /** So many questions in a row without an answer: it is gone. */
  readonly missedMax: number
}

export const defaultWatchLimits: WatchLimits = { everyMs: 15_000, missedMax: 2 }

/** What a watch finds out. */
export interface Watcher {
  answered(): void
  missed(error: unknown, missedCount: number): void
  gone(): void
}

/**
 * Asks again and again until `signal` fires, or too many questions in a row had no answer. A network that goes away
 * without a word leaves a connection open for many minutes; only asking finds that out.
 */
export function watchHost(
  ask: () => Promise<unknown>,
  { everyMs, missedMax }: WatchLimits,
  signal: AbortSignal,
  watcher: Watcher,
): void {
  let missedCount = 0
  let timer: NodeJS.Timeout | undefined
  const question = async () => {
    try {
      await ask()
      missedCount = 0
      if (!signal.aborted) watcher.answered()
    } catch (error) {
      if (signal.aborted) return
      missedCount++
      watcher.missed(error, missedCount)
    }
    if (missedCount >= missedMax) watcher.gone()
    else later()
  }
  const later = () => {
    if (signal.aborted) return
    timer = setTimeout(() => void question(), everyMs)
    timer.unref()
  }
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  later()
}
