import type { PrunedEvents, Retention as RetentionView } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeText } from '../clock.ts'
import type { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'

const dayMs = 86_400_000

/** Removed in one transaction at most, so that nobody waits long. */
const rowsPerTransaction = 5000

/** How long events and cleared alarms are kept. Open alarms stay; the audit has every event for itself. */
export class Retention {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#clock = clock
  }

  async show(): Promise<RetentionView> {
    const rows = await this.#database.selectFrom('retention').selectAll().execute()
    const daysOf = (kind: string) => rows.find((row) => row.kind === kind)?.days ?? null
    return { eventDays: daysOf('event'), alarmDays: daysOf('alarm') }
  }

  async set(retention: RetentionView, principal: Principal): Promise<RetentionView> {
    return this.#events.transaction(async (transaction, record) => {
      await transaction.deleteFrom('retention').execute()
      for (const [kind, days] of [
        ['event', retention.eventDays],
        ['alarm', retention.alarmDays],
      ] as const) {
        if (days !== null) await transaction.insertInto('retention').values({ kind, days }).execute()
      }
      const words = (days: number | null) => (days === null ? 'for ever' : `for ${days} days`)
      const text = `Events are kept ${words(retention.eventDays)}, cleared alarms ${words(retention.alarmDays)}`
      await record({ type: 'event.retention-changed', text, user: principal.name })
      return retention
    })
  }

  /** Removes what is older than it is to be kept. */
  async apply(): Promise<void> {
    const { eventDays, alarmDays } = await this.show()
    if (eventDays !== null) await this.prune(this.#clock() - eventDays * dayMs, null)
    if (alarmDays !== null) {
      const before = this.#clock() - alarmDays * dayMs
      await this.#database.deleteFrom('alarm').where('cleared_at', '<', before).execute()
    }
  }

  /** Removes events from before a time. Those that are still to be sent to somebody stay, and so does the last one. */
  async prune(before: number, principal: Principal | null): Promise<PrunedEvents> {
    let removed = 0
    for (;;) {
      const count = await this.#events.transaction(async (transaction, record) => {
        const waiting = await transaction
          .selectFrom('notification_target')
          .select(({ fn }) => fn.min('cursor').as('cursor'))
          .where('source', '=', 'events')
          .executeTakeFirst()
        // IDs go on from the last one, so that stays.
        const last = await this.#events.lastIdIn(transaction)
        const through = Math.min(waiting?.cursor ?? last - 1, last - 1)
        const old = transaction
          .selectFrom('event')
          .select('id')
          .where('time', '<', before)
          .where('id', '<=', through)
          .orderBy('id')
          .limit(rowsPerTransaction)
        const { numDeletedRows } = await transaction.deleteFrom('event').where('id', 'in', old).executeTakeFirst()
        const isEnd = numDeletedRows < BigInt(rowsPerTransaction)
        const sum = removed + Number(numDeletedRows)
        if (isEnd && sum > 0 && principal !== null) {
          const text = `${sum} events from before ${timeText(before)} were removed`
          await record({ type: 'event.pruned', text, user: principal.name })
        }
        return Number(numDeletedRows)
      })
      removed += count
      if (count < rowsPerTransaction) break
    }
    const { kept } = await this.#database
      .selectFrom('event')
      .select(({ fn }) => fn.countAll<number>().as('kept'))
      .executeTakeFirstOrThrow()
    return { removed, kept }
  }
}
