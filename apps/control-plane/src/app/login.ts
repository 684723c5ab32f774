import type { LoginAnswer } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import type { Schema, UserRow } from '../database/schema.ts'
import type { Bearers, Caller } from './bearers.ts'
import { type Clock, timeText } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { lockedUntil } from './lock-out.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { Turns } from './turns.ts'

/** How long a login lasts. */
export const sessionMs = 12 * 3_600_000

/** A user's oldest session ends when there are more. */
export const sessionsPerUserMax = 100

const passwordChecksAtOnceMax = 2

/** Logging in and out. */
export class Logins {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #bearers: Bearers
  readonly #clock: Clock
  readonly #turns = new Turns(passwordChecksAtOnceMax)
  /** Checked for a user who does not exist, so that the answer takes as long. */
  readonly #nobody = hashPassword('no user has this password')

  constructor(database: Kysely<Schema>, events: EventLog, bearers: Bearers, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#bearers = bearers
    this.#clock = clock
    // Whoever awaits it next sees the failure.
    this.#nobody.catch(() => {})
  }

  /**
   * Begins a session. Throws `not-logged-in`, with one text and after the same work whether the user does not exist,
   * is locked out or has another password; `too-busy`.
   */
  async logIn(name: string, password: string): Promise<LoginAnswer> {
    return this.#turns.take(name, async () => {
      const user = await this.#database.selectFrom('user').selectAll().where('name', '=', name).executeTakeFirst()
      const right = await verifyPassword(password, user?.password_hash ?? (await this.#nobody))
      const locked = user !== undefined && (user.locked_until ?? 0) > this.#clock()
      if (user === undefined || locked || !right) {
        await this.#refuse(user, locked)
        throw new ControlPlaneError(
          'not-logged-in',
          'user name or password is wrong; after several wrong passwords even the right one is refused for a while',
        )
      }
      return this.#events.transaction(async (transaction, record) => {
        await record({ type: 'user.login', text: `${user.name} logged in`, user: user.name })
        return this.#begin(transaction, user)
      })
    })
  }

  /** Ends the session of `caller`, or makes their API token worthless. */
  async logOut(caller: Caller): Promise<void> {
    await this.#bearers.remove(this.#database, caller.bearer.id)
  }

  /** A locked user's attempts are not counted, or whoever tries could lock them out for ever. */
  async #refuse(user: UserRow | undefined, locked: boolean): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      if (user !== undefined && !locked) {
        const failedCount = user.failed_logins + 1
        await transaction
          .updateTable('user')
          .set({ failed_logins: failedCount, locked_until: lockedUntil(failedCount, this.#clock()) })
          .where('name', '=', user.name)
          .execute()
      }
      await record({
        type: 'user.login-failed',
        // A name that nobody has may be a password in the wrong field.
        text: user === undefined ? 'a login failed: there is no such user' : `a login as ${user.name} failed`,
        user: user?.name ?? null,
      })
    })
  }

  async #begin(transaction: Transaction<Schema>, user: UserRow): Promise<LoginAnswer> {
    const now = this.#clock()
    await transaction
      .updateTable('user')
      .set({ failed_logins: 0, locked_until: null })
      .where('name', '=', user.name)
      .execute()
    await transaction.deleteFrom('bearer').where('expires_at', '<=', now).execute()
    const kept = transaction
      .selectFrom('bearer')
      .select('id')
      .where('user_name', '=', user.name)
      .where('kind', '=', 'session')
      .orderBy('id', 'desc')
      .limit(sessionsPerUserMax - 1)
    await transaction
      .deleteFrom('bearer')
      .where('user_name', '=', user.name)
      .where('kind', '=', 'session')
      .where('id', 'not in', kept)
      .execute()
    const expiresAt = now + sessionMs
    const { token } = await this.#bearers.create(transaction, {
      kind: 'session',
      name: 'login',
      user: user.name,
      expiresAt,
    })
    return { token, user: user.name, expiresAt: timeText(expiresAt) }
  }
}
