import { setTimeout as sleep } from 'node:timers/promises'
import type { Event } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { isPassingFailure } from './passing-failure.ts'

/** Which events are wanted, and how many of those that were before. */
export interface EventQuery {
  readonly type?: string
  readonly vm?: string
  readonly host?: string
  readonly limit?: number
}

export interface FollowOptions {
  readonly signal: AbortSignal
  /** Between two attempts to reach a control plane that is away, in milliseconds. */
  readonly pauseMs: number
  /** Hears of a broken connection. */
  readonly say: (text: string) => void
}

/** How long at most an event may wait that came while the stream was being opened. */
const lookIntervalMs = 5000

/** A control plane that restarts comes back; so many attempts in a row may fail. */
const failuresMax = 30

/** Newer events are fetched in pages of this size. */
const pageSize = 200

/**
 * The events that were, oldest first, then those that come, without a gap and none twice: the server's stream says only
 * that there is something new, and what it is is asked for by number. Ends when
 * `signal` is aborted. Throws `RestClientError`.
 */
export async function* followEvents(
  client: ControlPlaneClient,
  { limit, ...filter }: EventQuery,
  { signal, pauseMs, say }: FollowOptions,
): AsyncGenerator<Event, void, undefined> {
  const { events } = await client.events({ ...filter, ...(limit === undefined ? {} : { limit }) })
  let last = events[0]?.id ?? 0
  yield* events.toReversed()
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const newest of news(client, signal)) {
        if (newest !== null && newest <= last) continue
        for await (const event of eventsAfter(client, filter, last)) {
          last = event.id
          yield event
        }
        failures = 0
      }
    } catch (error) {
      if (signal.aborted) return
      failures++
      if (!isPassingFailure(error) || failures > failuresMax) throw error
      if (failures === 1) say('the connection to the control plane broke; trying again')
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}

async function* eventsAfter(client: ControlPlaneClient, filter: Omit<EventQuery, 'limit'>, after: number) {
  for (let last = after; ; ) {
    const { events } = await client.events({ ...filter, after: last, limit: pageSize })
    yield* events
    if (events.length < pageSize) return
    last = events.at(-1)?.id ?? last
  }
}

/**
 * Yields the number of each event of the server's stream, and `null` when there may be something new besides: at first,
 * and now and then.
 */
async function* news(client: ControlPlaneClient, outer: AbortSignal): AsyncGenerator<number | null, void, undefined> {
  const ended = new AbortController()
  const stream = client.eventStream(AbortSignal.any([outer, ended.signal]))
  try {
    let next = guarded(stream.next())
    yield null
    for (;;) {
      const pause = new AbortController()
      const signal = AbortSignal.any([outer, pause.signal])
      const result = await Promise.race([next, sleep(lookIntervalMs, null, { signal }).catch(() => null)])
      pause.abort()
      if (outer.aborted || result?.done === true) return
      if (result !== null) next = guarded(stream.next())
      yield result === null ? null : result.value.id
    }
  } finally {
    ended.abort()
  }
}

/** A promise that may fail while nobody waits for it yet. */
function guarded<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {})
  return promise
}
