import type { Login, Session } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import type { Caller } from './bearers.ts'
import { type Clock, timeText, timeTextOrNull } from './clock.ts'
import { contentRules } from './content-rules.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { Principal } from './ports.ts'
import { defaultSessionLimits, isIdle, type SessionLimits } from './session-limits.ts'

/** The logins that have not ended. Everybody has their own; who may end sessions sees and ends all. */
export class UserSessions {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock
  readonly #limits: SessionLimits

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock, limits: SessionLimits = defaultSessionLimits) {
    this.#database = database
    this.#events = events
    this.#clock = clock
    this.#limits = limits
  }

  /** By user, the oldest first. */
  async list(by: Caller): Promise<Session[]> {
    let found = this.#database
      .selectFrom('bearer')
      .selectAll()
      .where('kind', '=', 'session')
      .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', this.#clock())]))
    if (!endsSessions(by)) found = found.where('user_name', '=', by.name)
    const rows = await found.orderBy('user_name').orderBy('id').execute()
    const going = rows.filter((row) => !isIdle(row, this.#clock(), this.#limits))
    return going.map((row) => ({
      id: row.id,
      user: row.user_name,
      address: row.address,
      createdAt: timeText(row.created_at),
      lastUsedAt: timeTextOrNull(row.last_used_at),
      expiresAt: timeTextOrNull(row.expires_at),
      current: row.id === by.bearer.id,
    }))
  }

  /** By what `caller` has logged in, and when it ends by itself. */
  async current({ bearer }: Caller): Promise<Login> {
    const row = await this.#database.selectFrom('bearer').selectAll().where('id', '=', bearer.id).executeTakeFirst()
    const isSession = bearer.kind === 'session'
    return {
      kind: bearer.kind,
      expiresAt: timeTextOrNull(row?.expires_at ?? null),
      idleMinutes: isSession ? Math.round(this.#limits.idleMs / 60_000) : null,
    }
  }

  /** Throws `not-found`, also for another user's. */
  async end(id: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await transaction
        .selectFrom('bearer')
        .select('user_name')
        .where('id', '=', id)
        .where('kind', '=', 'session')
        .executeTakeFirst()
      if (row === undefined || (row.user_name !== by.name && !endsSessions(by))) {
        throw new ControlPlaneError('not-found', `there is no session ${id}`)
      }
      await transaction.deleteFrom('bearer').where('id', '=', id).execute()
      await record({ type: 'user.changed', text: `a session of ${row.user_name} was ended`, user: by.name })
    })
  }

  /** Throws `not-found` for the user. */
  async endAll(user: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await transaction.selectFrom('user').select('name').where('name', '=', user).executeTakeFirst()
      if (row === undefined) throw new ControlPlaneError('not-found', `there is no user ${user}`)
      await transaction.deleteFrom('bearer').where('user_name', '=', user).where('kind', '=', 'session').execute()
      await record({ type: 'user.changed', text: `all sessions of ${user} were ended`, user: by.name })
    })
  }
}

const endsSessions = (by: Principal) =>
  contentRules.othersSessions.privileges.every((privilege) => by.privileges.has(privilege))
