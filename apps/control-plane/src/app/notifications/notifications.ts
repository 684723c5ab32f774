import { randomUUID } from 'node:crypto'
import type { CreateNotification, NotificationTarget } from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import { isUniqueViolation } from '@cryptvisor/sqlite'
import type { Kysely, Transaction } from 'kysely'
import type { NotificationLossRow, NotificationTargetRow } from '../../database/notification-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeText, timeTextOrNull } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { readPrivateKey } from '../pem.ts'
import type { Principal } from '../ports.ts'
import { isRehearsed } from '../rehearsal.ts'
import { testItem } from './items.ts'
import { DeliveryError } from './sender.ts'
import { addressOf, checkTarget, needsSecret, senderOf, type TargetConfig } from './target-check.ts'

/** How many targets there are at most. */
export const targetsMax = 50

/** What was given up is shown so far back. */
const lossesShown = 20

/** Where events and records of the audit are sent to. Secrets lie sealed and are shown to nobody. */
export class Notifications {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #barrier: Barrier
  readonly #hostName: string
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, barrier: Barrier, hostName: string, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#barrier = barrier
    this.#hostName = hostName
    this.#clock = clock
  }

  async list(): Promise<NotificationTarget[]> {
    const rows = await this.#database.selectFrom('notification_target').selectAll().orderBy('name').execute()
    return Promise.all(rows.map((row) => this.#view(row)))
  }

  /** Throws `not-found`. */
  async show(name: string): Promise<NotificationTarget> {
    return this.#view(await find(this.#database, name))
  }

  /** Throws `invalid`, `already-exists`. Begins with what happens from now on, unless `fromStart` says otherwise. */
  async create(request: CreateNotification, principal: Principal): Promise<NotificationTarget> {
    const { kind, config } = checkTarget(request)
    const { name, source = 'events', severity = 'info', types = [] } = request
    if (source === 'audit' && request.types !== undefined) {
      throw new ControlPlaneError('invalid', 'types: the audit is sent whole', { field: 'types' })
    }
    const row = await this.#events.transaction(async (transaction, record) => {
      const targets = await transaction.selectFrom('notification_target').select('name').execute()
      if (targets.length >= targetsMax) {
        throw new ControlPlaneError('in-use', `there are ${targetsMax} notification targets already: remove one first`)
      }
      const made: NotificationTargetRow = {
        name,
        kind,
        source,
        config: JSON.stringify(config),
        severity,
        types: JSON.stringify(types),
        enabled: 1,
        secret_sealed: null,
        cursor: request.fromStart === true ? 0 : await endOf(transaction, source),
        failed_count: 0,
        failed_since: null,
        next_try_at: null,
        last_error: null,
        last_sent_at: null,
        created_at: this.#clock(),
      }
      try {
        await transaction.insertInto('notification_target').values(made).execute()
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        const message = `name: there is a notification target ${name} already: choose another name`
        throw new ControlPlaneError('already-exists', message, { field: 'name' })
      }
      const text = `${source === 'audit' ? 'The audit is' : 'Events are'} sent to ${name}: ${addressOf(config)}`
      await record({ type: 'notification.changed', notification: name, text, user: principal.name })
      return made
    })
    return this.#view(row)
  }

  /** Takes the key to sign with, the password, or the private key; it stays the caller's. Throws `not-found`, `invalid`. */
  async setSecret(name: string, secret: Secret, principal: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await find(transaction, name)
      if (!needsSecret(configOf(row))) {
        throw new ControlPlaneError('invalid', `${name} needs no secret: it has no user or client certificate`)
      }
      if (row.kind === 'syslog') readPrivateKey('secret', secret)
      const change = { secret_sealed: this.#barrier.seal(contextOf(row), secret), failed_count: 0, next_try_at: null }
      await transaction.updateTable('notification_target').set(change).where('name', '=', name).execute()
      const text = `The notification target ${name} has a new secret`
      await record({ type: 'notification.changed', notification: name, text, user: principal.name })
    })
  }

  /** Sends a test now. Throws `not-found`, `notification-failed` with the cause. */
  async test(name: string): Promise<void> {
    const row = await find(this.#database, name)
    if (isRehearsed()) return
    using secret = this.openSecret(row)
    const { id } = await installationOf(this.#database)
    const item = testItem(row.source, id, timeText(this.#clock()), randomUUID())
    try {
      await senderOf(configOf(row), this.#hostName, this.#clock).send([item], secret, new AbortController().signal)
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error
      const message = `the test was not delivered to ${name}: ${error.message}. Mend the receiver or the way to it, and try again; another address is another target: «notification remove ${name}», then «notification add»`
      throw new ControlPlaneError('notification-failed', message, { cause: error })
    }
  }

  /** Throws `not-found`. What waits for it is not sent any more. */
  async remove(name: string, principal: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      await find(transaction, name)
      await transaction.deleteFrom('notification_target').where('name', '=', name).execute()
      const text = `Nothing is sent to ${name} any more`
      await record({ type: 'notification.changed', notification: name, text, user: principal.name })
    })
  }

  /** The caller disposes of it; `null`: there is none. Throws `KeyStoreError` when the row was changed. */
  openSecret(row: NotificationTargetRow): Secret | null {
    return row.secret_sealed === null ? null : this.#barrier.unseal(contextOf(row), row.secret_sealed)
  }

  async #view(row: NotificationTargetRow): Promise<NotificationTarget> {
    const { name, kind, source, severity } = row
    const losses = await this.#database
      .selectFrom('notification_loss')
      .selectAll()
      .where('target', '=', name)
      .orderBy('id', 'desc')
      .limit(lossesShown)
      .execute()
    const config = configOf(row)
    const lacking = needsSecret(config) && row.secret_sealed === null
    return {
      name,
      kind,
      address: addressOf(config),
      source,
      severity,
      types: typesOf(row),
      state: lacking ? 'needs-secret' : row.failed_count > 0 ? 'failing' : 'working',
      waitingCount: Math.max(0, (await endOf(this.#database, source)) - row.cursor),
      lastSentAt: timeTextOrNull(row.last_sent_at),
      failedCount: row.failed_count,
      nextTryAt: timeTextOrNull(row.next_try_at),
      lastError: row.last_error,
      losses: losses.map(lossView),
    }
  }
}

/** Written from the schema by `create`. */
export const configOf = (row: NotificationTargetRow) => JSON.parse(row.config) as TargetConfig

/** As `configOf`. */
export const typesOf = (row: NotificationTargetRow) => JSON.parse(row.types) as string[]

/** Who sends. */
export async function installationOf(database: Kysely<Schema>): Promise<{ readonly id: string }> {
  const row = await database.selectFrom('installation').select('installation_id').executeTakeFirst()
  return { id: row?.installation_id ?? 'cryptvisor' }
}

/** A secret opens only for the very address that it was given for: nobody who writes the database can send it elsewhere. */
function contextOf({ name, kind, config }: NotificationTargetRow) {
  return { type: 'secret of a notification target', name, kind, config }
}

async function endOf(database: Kysely<Schema> | Transaction<Schema>, source: 'events' | 'audit'): Promise<number> {
  if (source === 'audit') {
    return (await database.selectFrom('audit_head').select('position').executeTakeFirst())?.position ?? 0
  }
  return (await database.selectFrom('event').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst())?.id ?? 0
}

async function find(database: Kysely<Schema> | Transaction<Schema>, name: string): Promise<NotificationTargetRow> {
  const row = await database.selectFrom('notification_target').selectAll().where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `there is no notification target ${name}: see «notification list»`)
}

function lossView(row: NotificationLossRow) {
  const { first_item: firstItem, last_item: lastItem, item_count: count, error, time } = row
  return { firstItem, lastItem, count, error, time: timeText(time) }
}
