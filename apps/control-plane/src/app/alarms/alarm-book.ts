import type { EventType } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { AlarmRow } from '../../database/alarm-rows.ts'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import type { EventLog, EventObserver, RecordEvent, RecordedEvent } from '../events.ts'
import type { NewEvent } from '../ports.ts'
import type { AlarmDefinition } from './alarm-definition.ts'

/** Objects that are gone take their alarms with them. */
const removals: Readonly<Partial<Record<EventType, readonly AlarmRow['object_kind'][]>>> = {
  'vm.deleted': ['vm'],
  'vm.unregistered': ['vm'],
  'vm.crypto.erased': ['vm'],
  'key-provider.removed': ['key-provider'],
  'host.removed': ['host'],
  'host.decommissioned': ['host'],
}

/** Of a host that is removed, its exposed keys stay an alarm. */
const outliving: ReadonlySet<string> = new Set(['host.keys-exposed'])

/** What the alarms of the system are about. */
const systemObject = 'control plane'

/**
 * Raises and clears alarms. An event does it in the transaction that records it, so that no crash loses an alarm; a look
 * at the state, each minute, finds what no event told.
 */
export class AlarmBook implements EventObserver {
  readonly #definitions: readonly AlarmDefinition[]
  readonly #clock: Clock

  constructor(definitions: readonly AlarmDefinition[], clock: Clock) {
    this.#definitions = definitions
    this.#clock = clock
  }

  async observe(transaction: Transaction<Schema>, event: RecordedEvent, record: RecordEvent): Promise<void> {
    for (const definition of this.#definitions) {
      const isCause = definition.raisedBy.includes(event.type)
      if (!isCause && !definition.clearedBy.includes(event.type)) continue
      const object = objectOf(definition.objectKind, event)
      if (object === null) continue
      if (!isCause) await this.#clear(transaction, record, definition.name, object)
      else if (definition.ofKnownVmsAlone === true && !(await isKnownVm(transaction, object))) continue
      else if (await isEnabled(transaction, definition.name)) {
        await this.#raise(transaction, record, definition, object, event.text, event)
      }
    }
    for (const kind of removals[event.type] ?? []) {
      const object = objectOf(kind, event)
      if (object !== null) await this.#clearObject(transaction, record, kind, object)
    }
  }

  /**
   * Raises and clears what the definitions that look at the state find. A look that fails keeps none of the others from
   * being made; then it throws an `AggregateError`.
   */
  async reconcile(events: EventLog, database: Kysely<Schema>): Promise<void> {
    const failures: unknown[] = []
    for (const definition of this.#definitions) {
      try {
        if (definition.look !== undefined) await this.#reconcileOne(events, database, definition)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'some conditions could not be looked at')
  }

  /** Clears all alarms of a definition, which was switched off. */
  async clearAll(transaction: Transaction<Schema>, record: RecordEvent, definition: string): Promise<void> {
    const rows = await openAlarms(transaction).where('definition', '=', definition).execute()
    for (const { object } of rows) await this.#clear(transaction, record, definition, object)
  }

  async #reconcileOne(events: EventLog, database: Kysely<Schema>, definition: AlarmDefinition): Promise<void> {
    // Most looks find nothing new; only otherwise is the database written.
    if (!(await this.#differs(database, definition))) return
    await events.transaction(async (transaction, record) => {
      const { missing, over } = await this.#compare(transaction, definition)
      for (const { object, text } of missing) await this.#raise(transaction, record, definition, object, text, {})
      for (const object of over) await this.#clear(transaction, record, definition.name, object)
    })
  }

  async #differs(database: Kysely<Schema>, definition: AlarmDefinition): Promise<boolean> {
    const { missing, over } = await this.#compare(database, definition)
    return missing.length > 0 || over.length > 0
  }

  async #compare(database: Kysely<Schema> | Transaction<Schema>, definition: AlarmDefinition) {
    const { name, look, threshold } = definition
    const setting = await settingOf(database, name)
    if (look === undefined || setting?.enabled === 0) return { missing: [], over: [] }
    const found = await look(database, this.#clock(), setting?.threshold ?? threshold?.value ?? 0)
    const open = await openAlarms(database).where('definition', '=', name).execute()
    const known = new Set(open.map(({ object }) => object))
    const standing = new Set([...found.holds.map(({ object }) => object), ...(found.undecided ?? [])])
    return {
      missing: found.holds.filter(({ object }) => !known.has(object)),
      over: [...known].filter((object) => !standing.has(object)),
    }
  }

  async #raise(
    transaction: Transaction<Schema>,
    record: RecordEvent,
    definition: AlarmDefinition,
    object: string,
    text: string,
    cause: Partial<NewEvent>,
  ): Promise<void> {
    const now = this.#clock()
    const { numUpdatedRows } = await transaction
      .updateTable('alarm')
      .set((update) => ({ count: update('count', '+', 1), last_at: now, text }))
      .where('definition', '=', definition.name)
      .where('object', '=', object)
      .where('cleared_at', 'is', null)
      .executeTakeFirst()
    if (numUpdatedRows > 0n) return
    const { name, severity, objectKind } = definition
    const row = { id: v7(), definition: name, object_kind: objectKind, object, severity, text, count: 1 }
    await transaction
      .insertInto('alarm')
      .values({ ...row, raised_at: now, last_at: now })
      .execute()
    await record({
      type: severity === 'red' ? 'alarm.red' : 'alarm.yellow',
      ...namesOf(objectKind, object, cause),
      text: `${definition.title}: ${text}. ${definition.advice}`,
      task: cause.task ?? null,
    })
  }

  async #clear(
    transaction: Transaction<Schema>,
    record: RecordEvent,
    definition: string,
    object: string,
  ): Promise<void> {
    const row = await transaction
      .updateTable('alarm')
      .set({ cleared_at: this.#clock(), cleared_by: 'system' })
      .where('definition', '=', definition)
      .where('object', '=', object)
      .where('cleared_at', 'is', null)
      .returning(['object_kind', 'severity'])
      .executeTakeFirst()
    if (row === undefined) return
    await record({
      type: 'alarm.cleared',
      ...namesOf(row.object_kind, object, {}),
      text: `The alarm ${definition} of ${object} is over: its cause is gone`,
    })
  }

  async #clearObject(
    transaction: Transaction<Schema>,
    record: RecordEvent,
    kind: AlarmRow['object_kind'],
    object: string,
  ): Promise<void> {
    const rows = await openAlarms(transaction).where('object_kind', '=', kind).where('object', '=', object).execute()
    for (const { definition } of rows) {
      if (!outliving.has(definition)) await this.#clear(transaction, record, definition, object)
    }
  }
}

const openAlarms = (database: Kysely<Schema> | Transaction<Schema>) =>
  database.selectFrom('alarm').selectAll().where('cleared_at', 'is', null)

async function settingOf(database: Kysely<Schema> | Transaction<Schema>, definition: string) {
  return database.selectFrom('alarm_setting').selectAll().where('definition', '=', definition).executeTakeFirst()
}

async function isEnabled(transaction: Transaction<Schema>, definition: string): Promise<boolean> {
  return (await settingOf(transaction, definition))?.enabled !== 0
}

async function isKnownVm(transaction: Transaction<Schema>, name: string): Promise<boolean> {
  const found = await transaction.selectFrom('vm').select('id').where('name', '=', name).executeTakeFirst()
  return found !== undefined
}

/** What an event is about, of this kind; `null`: it does not say. */
function objectOf(kind: AlarmRow['object_kind'], event: NewEvent): string | null {
  switch (kind) {
    case 'vm':
      return event.vm ?? null
    case 'host':
      return event.host ?? null
    case 'key':
      return event.provider == null || event.keyId == null ? null : `${event.provider}/${event.keyId}`
    case 'key-provider':
      return event.provider ?? null
    case 'notification':
      return event.notification ?? null
    // Nothing tells of a certificate; it is looked at.
    case 'certificate':
      return null
    case 'system':
      return systemObject
  }
}

/** The names that the event of an alarm carries. */
function namesOf(kind: AlarmRow['object_kind'], object: string, cause: Partial<NewEvent>): Partial<NewEvent> {
  const { host = null, vm = null, provider = null, keyId = null } = cause
  const names = { host, vm, provider, keyId }
  switch (kind) {
    case 'vm':
      return { ...names, vm: object }
    case 'host':
      return { ...names, host: object }
    case 'key': {
      const slash = object.indexOf('/')
      return { ...names, provider: object.slice(0, slash), keyId: object.slice(slash + 1) }
    }
    case 'key-provider':
      return { ...names, provider: object }
    case 'notification':
    case 'certificate':
    case 'system':
      return names
  }
}
