import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { EventLog } from '../events.ts'
import type { Log } from '../log.ts'
import type { AlarmBook } from './alarm-book.ts'
import type { Retention } from './retention.ts'

/** How often the state is looked at, in milliseconds. */
const lookEveryMs = 60_000

/** Looks at the state and lets go of old events: at once, and each minute until the answer is disposed of. */
export function keepLooking(
  book: AlarmBook,
  retention: Retention,
  events: EventLog,
  database: Kysely<Schema>,
  log: Log,
): AsyncDisposable {
  let stopped = false
  let running: Promise<void> = Promise.resolve()
  const look = async () => {
    if (stopped) return
    try {
      await book.reconcile(events, database)
      await retention.apply()
    } catch (error) {
      log.error({ err: error }, 'the state could not be looked at for alarms')
    }
  }
  const next = () => {
    running = running.then(look)
  }
  next()
  const timer = setInterval(next, lookEveryMs)
  timer.unref()
  return {
    [Symbol.asyncDispose]: async () => {
      stopped = true
      clearInterval(timer)
      await running
    },
  }
}
