import { type Event, type EventType, eventTypes, type Severity } from '@cryptvisor/control-plane-api'
import { type ExpressionBuilder, type Insertable, type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import type { EventRow, Schema } from '../database/schema.ts'
import { type Clock, timeText } from './clock.ts'
import type { Scope } from './permissions/scope.ts'
import type { Events, NewEvent } from './ports.ts'
import { noteEffect } from './rehearsal.ts'

/** The most events that one answer has. */
export const eventsPerAnswerMax = 1000

export interface EventQuery {
  readonly type?: string | undefined
  /** Names. */
  readonly vm?: string | undefined
  readonly host?: string | undefined
  readonly severity?: Severity | undefined
  readonly user?: string | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** Only earlier events than this one. */
  readonly before?: number | undefined
  /** Only of what is in it; everything when left out. */
  readonly scope?: Scope | undefined
  /** Only later events than this one, the oldest first; without it, the newest first. */
  readonly after?: number | undefined
  /** At most `eventsPerAnswerMax`. */
  readonly limit: number
}

/** Records an event within a transaction. */
export type RecordEvent = (event: NewEvent) => Promise<void>

/** An event that is being recorded. */
export interface RecordedEvent extends NewEvent {
  readonly id: number
  readonly severity: Severity
  readonly time: number
}

/** Told of each event within the transaction that records it; what it writes is there when the event is. */
export interface EventObserver {
  observe(transaction: Transaction<Schema>, event: RecordedEvent, record: RecordEvent): Promise<void>
}

/** The events of the control plane: kept in its database in the order of their IDs, and told to whoever follows. */
export class EventLog implements Events {
  readonly #database: Kysely<Schema>
  readonly #clock: Clock
  readonly #observers: readonly EventObserver[]
  readonly #waiting = new Set<() => void>()

  constructor(database: Kysely<Schema>, clock: Clock, observers: readonly EventObserver[] = []) {
    this.#database = database
    this.#clock = clock
    this.#observers = observers
  }

  async record(event: NewEvent): Promise<void> {
    await this.transaction((_transaction, record) => record(event))
  }

  /** Runs `work` in a transaction; what it records is there when the rest is, or neither is. */
  async transaction<Result>(
    work: (transaction: Transaction<Schema>, record: RecordEvent) => Promise<Result>,
  ): Promise<Result> {
    const result = await this.#database
      .transaction()
      .execute((transaction) => work(transaction, (event) => this.#insert(transaction, event)))
    this.#wake()
    return result
  }

  /** What `query` finds, at most `limit`. */
  async list(query: EventQuery): Promise<Event[]> {
    const { after, limit, scope } = query
    let found = this.#database.selectFrom('event').selectAll().limit(Math.min(limit, eventsPerAnswerMax))
    if (query.type !== undefined) found = found.where('type', '=', query.type)
    if (query.vm !== undefined) found = found.where('vm_name', '=', query.vm)
    if (query.host !== undefined) found = found.where('host_name', '=', query.host)
    if (after !== undefined) found = found.where('id', '>', after)
    if (query.before !== undefined) found = found.where('id', '<', query.before)
    if (query.severity !== undefined) found = found.where('severity', 'in', atLeast(query.severity))
    if (query.user !== undefined) found = found.where('user_name', '=', query.user)
    if (query.since !== undefined) found = found.where('time', '>=', query.since)
    if (query.until !== undefined) found = found.where('time', '<', query.until)
    if (scope !== undefined && !scope.everywhere) {
      const { vmIds, hostIds, onRoot } = scope
      found = found.where((where) =>
        where.or([
          where('vm_id', 'in', vmIds),
          where.and([where('vm_id', 'is', null), where('host_id', 'in', hostIds)]),
          // What is of no VM and no host, and of those that are gone.
          ...(onRoot
            ? [
                where.and([
                  where.or([where('vm_id', 'is', null), where('vm_id', 'not in', allIds(where, 'vm'))]),
                  where.or([where('host_id', 'is', null), where('host_id', 'not in', allIds(where, 'host'))]),
                ]),
              ]
            : []),
        ]),
      )
    }
    const rows = await found.orderBy('id', after === undefined ? 'desc' : 'asc').execute()
    return rows.map(toEvent)
  }

  /** The ID of the last event; 0 before the first one. */
  async lastId(): Promise<number> {
    const row = await this.#database.selectFrom('event').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
    return row?.id ?? 0
  }

  /** As `lastId`, within a transaction. */
  async lastIdIn(transaction: Transaction<Schema>): Promise<number> {
    const row = await transaction.selectFrom('event').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
    return row?.id ?? 0
  }

  /** Calls `wake` once, when an event was recorded after this call. The answer gives it up again. */
  onNext(wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => this.#waiting.delete(wake)
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  async #insert(transaction: Transaction<Schema>, event: NewEvent): Promise<void> {
    noteEffect({ kind: 'event', type: event.type, text: event.text, lines: [] })
    const severity = severityOf(event.type)
    const time = this.#clock()
    const row: Omit<Insertable<EventRow>, 'id' | 'vm_id' | 'host_id'> = {
      type: event.type,
      severity,
      time,
      host_name: event.host ?? null,
      vm_name: event.vm ?? null,
      provider: event.provider ?? null,
      key_id: event.keyId ?? null,
      text: event.text,
      user_name: event.user ?? null,
      task_id: event.task ?? null,
    }
    const { id } = await transaction
      .insertInto('event')
      .values((builder) => ({
        id: builder.selectFrom('event').select(sql<number>`coalesce(max(id), 0) + 1`.as('id')),
        ...row,
        vm_id: idOf(builder, 'vm', event.vm),
        host_id: idOf(builder, 'host', event.host),
      }))
      .returning('id')
      .executeTakeFirstOrThrow()
    const record: RecordEvent = (next) => this.#insert(transaction, next)
    for (const observer of this.#observers)
      await observer.observe(transaction, { ...event, id, severity, time }, record)
  }
}

const allIds = (builder: ExpressionBuilder<Schema, 'event'>, table: 'vm' | 'host') =>
  table === 'vm' ? builder.selectFrom('vm').select('vm.id') : builder.selectFrom('host').select('host.id')

/** Of what the event names, as it is called now; one that is gone has none. */
function idOf(builder: ExpressionBuilder<Schema, 'event'>, table: 'vm' | 'host', name: string | null | undefined) {
  return table === 'vm'
    ? builder
        .selectFrom('vm')
        .select('vm.id')
        .where('vm.name', '=', name ?? '')
    : builder
        .selectFrom('host')
        .select('host.id')
        .where('host.name', '=', name ?? '')
}

/** This severity and those above it. */
export function atLeast(severity: Severity): readonly Severity[] {
  return severities.slice(severities.indexOf(severity))
}

const severities: readonly Severity[] = ['info', 'warning', 'error']

function severityOf(type: EventType): Severity {
  return eventTypes[type][0]
}

/** A row as users see it. */
export function toEvent(row: Selectable<EventRow>): Event {
  return {
    id: row.id,
    type: row.type,
    // Written from `eventTypes`.
    severity: row.severity as Severity,
    time: timeText(row.time),
    host: row.host_name,
    vm: row.vm_name,
    provider: row.provider,
    keyId: row.key_id,
    text: row.text,
    user: row.user_name,
    task: row.task_id,
  }
}
