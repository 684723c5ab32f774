import type { Kysely } from 'kysely'
import { v7 } from 'uuid'
import type { NotificationTargetRow } from '../../database/notification-rows.ts'
import type { Schema } from '../../database/schema.ts'
import type { AuditLog } from '../audit/audit-log.ts'
import type { Clock } from '../clock.ts'
import type { EventLog } from '../events.ts'
import type { Log } from '../log.ts'
import { nextItems } from './items.ts'
import { configOf, installationOf, type Notifications, typesOf } from './notifications.ts'
import { DeliveryError, type Item } from './sender.ts'
import { needsSecret, senderOf } from './target-check.ts'

/** Waiting between two tries of the same: doubles from one to the other, with jitter. In milliseconds. */
export const retryMs = 1000
export const retryMaxMs = 300_000

/** After so many failures in a row there is an event, and so an alarm. */
const toldAfterFailures = 5

/** What a receiver refuses for good is given up after so many tries, what does not get through after this time. */
const refusalsMax = 5
const giveUpAfterMs = 24 * 3_600_000

/** How often it is looked whether something is due, besides when something happens. */
const lookEveryMs = 1000

/**
 * Sends what the targets want, each target by itself and in order. The table of events (or the audit) is the queue, and
 * each target's `cursor` says how far it is: nothing is lost in a crash, and at most one batch is sent a second time.
 */
export class Delivery implements AsyncDisposable {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #audit: AuditLog
  readonly #notifications: Notifications
  readonly #hostName: string
  readonly #clock: Clock
  readonly #random: () => number
  readonly #log: Log
  readonly #stopping = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  #looking: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null

  constructor(parts: {
    readonly database: Kysely<Schema>
    readonly events: EventLog
    readonly audit: AuditLog
    readonly notifications: Notifications
    readonly hostName: string
    readonly clock: Clock
    /** From 0 to 1. */
    readonly random: () => number
    readonly log: Log
  }) {
    this.#database = parts.database
    this.#events = parts.events
    this.#audit = parts.audit
    this.#notifications = parts.notifications
    this.#hostName = parts.hostName
    this.#clock = parts.clock
    this.#random = parts.random
    this.#log = parts.log
  }

  /** Begins; ends when it is disposed of. */
  start(): this {
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.look())
    }, lookEveryMs)
    this.#timer.unref()
    return this
  }

  /** Begins to send to each target that something is due for. */
  async look(): Promise<void> {
    try {
      const rows = await this.#database.selectFrom('notification_target').selectAll().execute()
      for (const row of rows) {
        if (this.#stopping.signal.aborted || this.#running.has(row.name) || !this.#isDue(row)) continue
        const drained = this.#drain(row.name).finally(() => this.#running.delete(row.name))
        this.#running.set(row.name, drained)
      }
    } catch (error) {
      this.#log.error({ err: error }, 'notifications could not be looked at')
    }
  }

  /** Resolves when nothing is being sent any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#stopping.abort(new Error('the control plane stops'))
    await this.#looking
    await this.idle()
  }

  #isDue(row: NotificationTargetRow): boolean {
    if (row.enabled === 0 || (needsSecret(configOf(row)) && row.secret_sealed === null)) return false
    return row.next_try_at === null || row.next_try_at <= this.#clock()
  }

  async #drain(name: string): Promise<void> {
    try {
      while (!this.#stopping.signal.aborted && (await this.#sendNext(name))) {}
    } catch (error) {
      if (!this.#stopping.signal.aborted)
        this.#log.error({ err: error, target: name }, 'notifications could not be sent')
    }
  }

  /** Sends the next batch; whether there may be more. */
  async #sendNext(name: string): Promise<boolean> {
    const row = await this.#database
      .selectFrom('notification_target')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst()
    if (row === undefined || !this.#isDue(row)) return false
    const { id } = await installationOf(this.#database)
    const filter = { source: row.source, severity: row.severity, types: typesOf(row) }
    const page = await nextItems(this.#events, this.#audit, id, filter, row.cursor)
    if (page === null) return false
    const sender = senderOf(configOf(row), this.#hostName, this.#clock)
    const batch = page.items.slice(0, sender.batchMax)
    const last = batch.at(-1)
    if (last === undefined) return this.#move(row, page.through, {})
    try {
      using secret = this.#notifications.openSecret(row)
      await sender.send(batch, secret, this.#stopping.signal)
    } catch (error) {
      if (this.#stopping.signal.aborted) return false
      await this.#failed(row, page.items, batch, error)
      return false
    }
    return this.#succeeded(row, batch.length === page.items.length ? page.through : last.number)
  }

  async #succeeded(row: NotificationTargetRow, through: number): Promise<boolean> {
    const done = {
      failed_count: 0,
      failed_since: null,
      next_try_at: null,
      last_error: null,
      last_sent_at: this.#clock(),
    }
    const moved = await this.#move(row, through, done)
    if (row.failed_count >= toldAfterFailures) {
      const text = `Notifications reach ${row.name} again, after ${row.failed_count} failures`
      await this.#events.record({ type: 'notification.delivered-again', notification: row.name, text })
    }
    return moved
  }

  /** Whether it was where we thought: it may be another one by now. */
  async #move(row: NotificationTargetRow, cursor: number, change: Partial<NotificationTargetRow>): Promise<boolean> {
    const { numUpdatedRows } = await this.#database
      .updateTable('notification_target')
      .set({ ...change, cursor })
      .where('name', '=', row.name)
      .where('created_at', '=', row.created_at)
      .where('cursor', '=', row.cursor)
      .executeTakeFirst()
    return numUpdatedRows > 0n
  }

  async #failed(
    row: NotificationTargetRow,
    page: readonly Item[],
    batch: readonly Item[],
    cause: unknown,
  ): Promise<void> {
    const now = this.#clock()
    const failedCount = row.failed_count + 1
    const error = cause instanceof DeliveryError ? cause.message : 'a fault of ours; the log has the cause'
    this.#log.warn({ err: cause, target: row.name, failedCount }, 'a notification was not delivered')
    const permanent = cause instanceof DeliveryError && cause.permanent
    const since = row.failed_since ?? now
    const isOld = (item: Item) => Date.parse(item.time) <= now - giveUpAfterMs
    const lost =
      permanent && failedCount >= refusalsMax ? batch : now - since >= giveUpAfterMs ? page.filter(isOld) : []
    const waitMs = Math.min(retryMaxMs, retryMs * 2 ** Math.min(failedCount - 1, 20))
    await this.#events.transaction(async (transaction, record) => {
      const change = {
        failed_count: failedCount,
        failed_since: since,
        next_try_at: now + Math.round(waitMs * (0.5 + this.#random() / 2)),
        last_error: error.slice(0, 500),
        ...(lost.length === 0 ? {} : { cursor: lost.at(-1)?.number ?? row.cursor }),
      }
      const { numUpdatedRows } = await transaction
        .updateTable('notification_target')
        .set(change)
        .where('name', '=', row.name)
        .where('created_at', '=', row.created_at)
        .where('cursor', '=', row.cursor)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) return
      const [first] = lost
      const last = lost.at(-1)
      if (first !== undefined && last !== undefined) {
        await transaction
          .insertInto('notification_loss')
          .values({
            id: v7(),
            target: row.name,
            first_item: first.number,
            last_item: last.number,
            item_count: lost.length,
            error: change.last_error,
            time: now,
          })
          .execute()
      }
      if (first === undefined && failedCount !== toldAfterFailures) return
      const given = first === undefined ? 'it is tried on' : `${lost.length} were given up, from ${first.id} on`
      await record({
        type: 'notification.undeliverable',
        notification: row.name,
        text: `Notifications do not reach ${row.name}: ${error}; ${given}`,
      })
    })
  }
}
