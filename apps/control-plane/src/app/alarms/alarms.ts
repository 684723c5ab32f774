import type {
  Alarm,
  AlarmDefinition as AlarmDefinitionView,
  ChangeAlarmDefinition,
} from '@cryptvisor/control-plane-api'
import { type Kysely, type SqlBool, sql, type Transaction } from 'kysely'
import type { AlarmRow } from '../../database/alarm-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeText, timeTextOrNull } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import type { Scope } from '../permissions/scope.ts'
import { Sight } from '../permissions/sight.ts'
import type { Principal } from '../ports.ts'
import type { AlarmBook } from './alarm-book.ts'
import type { AlarmDefinition } from './alarm-definition.ts'

/** The most alarms that one answer has. */
export const alarmsPerAnswerMax = 1000

/** The alarms as users see and answer them. */
export class Alarms {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #book: AlarmBook
  readonly #definitions: readonly AlarmDefinition[]
  readonly #clock: Clock

  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    book: AlarmBook,
    definitions: readonly AlarmDefinition[],
    clock: Clock,
  ) {
    this.#database = database
    this.#events = events
    this.#book = book
    this.#definitions = definitions
    this.#clock = clock
  }

  /**
   * Red ones first, then the newest; those that were cleared only when `all` says so. With a scope only those of VMs and
   * hosts in it, and of what is neither; no text names what `by` may not see.
   */
  async list(query: {
    readonly state?: Alarm['state'] | undefined
    readonly severity?: Alarm['severity'] | undefined
    readonly object?: string | undefined
    readonly all?: boolean | undefined
    readonly limit: number
    readonly scope?: Scope | undefined
    /** Who asks; left out: somebody who sees everything. */
    readonly by?: Principal | undefined
  }): Promise<Alarm[]> {
    let found = within(this.#database, query.scope).limit(Math.min(query.limit, alarmsPerAnswerMax))
    if (query.severity !== undefined) found = found.where('severity', '=', query.severity)
    if (query.object !== undefined) found = found.where('object', '=', query.object)
    if (query.state === 'cleared') found = found.where('cleared_at', 'is not', null)
    else if (query.state !== undefined || query.all !== true) found = found.where('cleared_at', 'is', null)
    if (query.state === 'raised') found = found.where('acknowledged_at', 'is', null)
    if (query.state === 'acknowledged') found = found.where('acknowledged_at', 'is not', null)
    // «red» comes before «yellow» by the alphabet, too.
    const rows = await found.orderBy('severity').orderBy('last_at', 'desc').orderBy('id', 'desc').execute()
    const sight = await this.#sight(query.by, query.scope)
    return rows.map((row) => this.#view(row, sight))
  }

  /** Throws `not-found`, also for one that lies out of `scope`. */
  async show(id: string, scope?: Scope, by?: Principal): Promise<Alarm> {
    return this.#view(await find(this.#database, id, scope), await this.#sight(by, scope))
  }

  /** Says that somebody takes care. It stays until its cause is gone. Throws `not-found`, `invalid` for a cleared one. */
  async acknowledge(id: string, principal: Principal, scope?: Scope): Promise<Alarm> {
    const sight = await this.#sight(principal, scope)
    return this.#events.transaction(async (transaction, record) => {
      const row = await findOpen(transaction, id, scope)
      if (row.acknowledged_at !== null) return this.#view(row, sight)
      const change = { acknowledged_at: this.#clock(), acknowledged_by: principal.name }
      await transaction.updateTable('alarm').set(change).where('id', '=', id).execute()
      const text = `${principal.name} takes care of the alarm ${row.definition} of ${row.object}`
      await record({ type: 'alarm.acknowledged', ...about(row), text, user: principal.name })
      return this.#view({ ...row, ...change }, sight)
    })
  }

  /** Clears an alarm by hand; where its cause goes on it is raised anew. Throws as `acknowledge`. */
  async clear(id: string, principal: Principal, scope?: Scope): Promise<Alarm> {
    const sight = await this.#sight(principal, scope)
    return this.#events.transaction(async (transaction, record) => {
      const row = await findOpen(transaction, id, scope)
      const change = { cleared_at: this.#clock(), cleared_by: principal.name }
      await transaction.updateTable('alarm').set(change).where('id', '=', id).execute()
      const text = `${principal.name} cleared the alarm ${row.definition} of ${row.object} by hand`
      await record({ type: 'alarm.cleared', ...about(row), text, user: principal.name })
      return this.#view({ ...row, ...change }, sight)
    })
  }

  async definitions(): Promise<AlarmDefinitionView[]> {
    const settings = await this.#database.selectFrom('alarm_setting').selectAll().execute()
    return this.#definitions.map((definition) => {
      const setting = settings.find((row) => row.definition === definition.name)
      return viewOf(definition, setting?.enabled !== 0, setting?.threshold ?? null)
    })
  }

  /** Throws `not-found`; `invalid` for the threshold of a definition that has none. Switched off, its alarms are cleared. */
  async change(name: string, body: ChangeAlarmDefinition, principal: Principal): Promise<AlarmDefinitionView> {
    const definition = this.#definitions.find((each) => each.name === name)
    if (definition === undefined) {
      throw new ControlPlaneError('not-found', `there is no alarm definition ${name}: see «alarm definitions»`)
    }
    if (body.threshold !== undefined && definition.threshold === undefined) {
      const message = `threshold: the alarm ${name} has none`
      throw new ControlPlaneError('invalid', message, { field: 'threshold' })
    }
    return this.#events.transaction(async (transaction, record) => {
      const before = await transaction
        .selectFrom('alarm_setting')
        .selectAll()
        .where('definition', '=', name)
        .executeTakeFirst()
      const enabled = body.enabled ?? before?.enabled !== 0
      const threshold = body.threshold === undefined ? (before?.threshold ?? null) : body.threshold
      const values = { enabled: enabled ? 1 : 0, threshold }
      await transaction
        .insertInto('alarm_setting')
        .values({ definition: name, ...values })
        .onConflict((conflict) => conflict.column('definition').doUpdateSet(values))
        .execute()
      const limit = threshold === null ? '' : `, threshold ${threshold}`
      const text = `The alarm ${name} is ${enabled ? 'on' : 'off'}${limit}`
      await record({ type: 'alarm.definition-changed', text, user: principal.name })
      if (!enabled) await this.#book.clearAll(transaction, record, name)
      return viewOf(definition, enabled, threshold)
    })
  }

  /** `null`: everything may be seen. */
  async #sight(by: Principal | undefined, scope: Scope | undefined): Promise<Sight | null> {
    return by === undefined || scope === undefined ? null : Sight.of(this.#database, by, scope)
  }

  #view(row: AlarmRow, sight: Sight | null): Alarm {
    const found = this.#definitions.find(({ name }) => name === row.definition)
    const unseen = `${found?.title ?? row.definition}: what it concerns you may not see in full`
    const { id, definition, object_kind: objectKind, object, severity, text, count } = row
    return {
      id,
      definition,
      objectKind,
      object,
      severity,
      state: row.cleared_at !== null ? 'cleared' : row.acknowledged_at !== null ? 'acknowledged' : 'raised',
      text: sight?.textOf(text, unseen) ?? text,
      advice: found?.advice ?? '',
      count,
      raisedAt: timeText(row.raised_at),
      lastAt: timeText(row.last_at),
      acknowledgedAt: timeTextOrNull(row.acknowledged_at),
      acknowledgedBy: row.acknowledged_by,
      clearedAt: timeTextOrNull(row.cleared_at),
      clearedBy: row.cleared_by,
    }
  }
}

function viewOf(definition: AlarmDefinition, enabled: boolean, threshold: number | null): AlarmDefinitionView {
  const { name, title, severity, objectKind, raisedBy, clearedBy, advice, look, threshold: own } = definition
  return {
    name,
    title,
    severity,
    objectKind,
    raisedBy: [...raisedBy],
    clearedBy: [...clearedBy],
    watched: look !== undefined,
    advice,
    enabled,
    threshold: threshold ?? own?.value ?? null,
    unit: own?.unit ?? null,
  }
}

/** Alarms, but those of VMs and hosts that are out of the scope. */
function within(database: Kysely<Schema> | Transaction<Schema>, scope: Scope | undefined) {
  const all = database.selectFrom('alarm').selectAll()
  if (scope === undefined || scope.everywhere) return all
  const { vmIds, hostIds } = scope
  return all
    .where((where) =>
      where.or([
        where('object_kind', '!=', 'vm'),
        where.not(
          where.exists(
            where
              .selectFrom('vm')
              .select('vm.id')
              .whereRef('vm.name', '=', 'alarm.object')
              .where('vm.id', 'not in', vmIds),
          ),
        ),
      ]),
    )
    .where((where) =>
      where.or([
        where('object_kind', 'not in', ['host', 'certificate']),
        where.not(
          where.exists(
            where
              .selectFrom('host')
              .select('host.id')
              .where(sql<SqlBool>`alarm.object in (host.name, 'certificate of host ' || host.name)`)
              .where('host.id', 'not in', hostIds),
          ),
        ),
      ]),
    )
}

async function find(database: Kysely<Schema> | Transaction<Schema>, id: string, scope?: Scope): Promise<AlarmRow> {
  const row = await within(database, scope).where('id', '=', id).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `there is no alarm ${id}: see «alarm list --all»`)
}

async function findOpen(transaction: Transaction<Schema>, id: string, scope?: Scope): Promise<AlarmRow> {
  const row = await find(transaction, id, scope)
  if (row.cleared_at === null) return row
  throw new ControlPlaneError('invalid', `the alarm ${id} is over since ${timeText(row.cleared_at)}`, { field: 'id' })
}

function about({ object_kind: kind, object }: AlarmRow) {
  return kind === 'vm' ? { vm: object } : kind === 'host' ? { host: object } : {}
}
