import type { ApiToken, CreateApiToken, NewApiToken } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { BearerRow, Schema } from '../database/schema.ts'
import type { Bearers, Caller } from './bearers.ts'
import { type Clock, timeText, timeTextOrNull } from './clock.ts'
import { contentRules } from './content-rules.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { Principal } from './ports.ts'

/** How many API tokens a user has at most. */
export const tokensPerUserMax = 200

const dayMs = 86_400_000

/** API tokens, which act with their user's role. Everybody has their own; who manages users sees and removes all. */
export class Tokens {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #bearers: Bearers
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, bearers: Bearers, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#bearers = bearers
    this.#clock = clock
  }

  /** The oldest first. */
  async list(by: Principal): Promise<ApiToken[]> {
    let found = this.#database.selectFrom('bearer').selectAll().where('kind', '=', 'api-token')
    if (!managesUsers(by)) found = found.where('user_name', '=', by.name)
    return (await found.orderBy('id').execute()).map(toApiToken)
  }

  /** Throws `invalid` for somebody who is only a token themselves: it could outlive its own end that way. */
  async create(request: CreateApiToken, by: Caller): Promise<NewApiToken> {
    if (by.bearer.kind !== 'session') {
      throw new ControlPlaneError('invalid', 'an API token cannot make API tokens: log in with your password')
    }
    return this.#events.transaction(async (transaction, record) => {
      const own = await transaction
        .selectFrom('bearer')
        .select('name')
        .where('user_name', '=', by.name)
        .where('kind', '=', 'api-token')
        .execute()
      if (own.some(({ name }) => name === request.name)) {
        const message = `name: you have a token ${request.name} already: remove it or choose another name`
        throw new ControlPlaneError('already-exists', message, { field: 'name' })
      }
      if (own.length >= tokensPerUserMax) {
        throw new ControlPlaneError('invalid', `you have ${tokensPerUserMax} tokens: remove some first`)
      }
      const expiresAt = request.validDays === undefined ? null : this.#clock() + request.validDays * dayMs
      const { token, row } = await this.#bearers.create(transaction, {
        kind: 'api-token',
        name: request.name,
        user: by.name,
        expiresAt,
      })
      await record({ type: 'user.changed', text: `API token ${row.name} was made`, user: by.name })
      return { token, info: toApiToken(row) }
    })
  }

  /** Throws `not-found`, also for another user's token. */
  async remove(id: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await transaction
        .selectFrom('bearer')
        .selectAll()
        .where('id', '=', id)
        .where('kind', '=', 'api-token')
        .executeTakeFirst()
      if (row === undefined || (row.user_name !== by.name && !managesUsers(by))) {
        throw new ControlPlaneError('not-found', `there is no API token ${id}`)
      }
      await this.#bearers.remove(transaction, id)
      await record({
        type: 'user.changed',
        text: `API token ${row.name} of ${row.user_name} was removed`,
        user: by.name,
      })
    })
  }
}

const managesUsers = (by: Principal) =>
  contentRules.othersTokens.privileges.every((privilege) => by.privileges.has(privilege))

function toApiToken(row: BearerRow): ApiToken {
  return {
    id: row.id,
    name: row.name,
    user: row.user_name,
    createdAt: timeText(row.created_at),
    expiresAt: timeTextOrNull(row.expires_at),
    lastUsedAt: timeTextOrNull(row.last_used_at),
  }
}
