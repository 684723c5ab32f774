import type { Event } from '@cryptvisor/control-plane-api'
import { type EventLog, eventsPerAnswerMax } from './events.ts'
import type { Scope } from './permissions/scope.ts'

/** How often a stream without events says that it is there; shorter than what any reader waits. */
export const quietMs = 15_000

/**
 * Every event after `afterId` that its reader may see, in order and without a gap, and from then on as they happen; `null`
 * each `quietMs` in which nothing did. Ends when `signal` fires, or when `maySee`, which is asked each time, gives `null`.
 * Nothing is kept for a reader that is slow: it reads on where it was.
 */
export async function* followEvents(
  events: EventLog,
  afterId: number,
  maySee: () => Promise<Scope | null>,
  signal: AbortSignal,
): AsyncGenerator<Event | null, void, undefined> {
  let after = afterId
  while (!signal.aborted) {
    const next = nextEvent(events, signal)
    try {
      const scope = await maySee()
      if (scope === null) return
      const found = await events.list({ after, limit: eventsPerAnswerMax, scope })
      for (const event of found) {
        after = event.id
        yield event
      }
      if (found.length > 0) continue
      if (!(await next.happened)) yield null
    } finally {
      next.giveUp()
    }
  }
}

/** Whether an event happens before `quietMs` are over; also true when `signal` fires. */
function nextEvent(events: EventLog, signal: AbortSignal): { happened: Promise<boolean>; giveUp: () => void } {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const yes = () => resolve(true)
  const forget = events.onNext(yes)
  signal.addEventListener('abort', yes, { once: true })
  const timer = setTimeout(() => resolve(false), quietMs)
  return {
    happened: promise,
    giveUp: () => {
      forget()
      signal.removeEventListener('abort', yes)
      clearTimeout(timer)
    },
  }
}
