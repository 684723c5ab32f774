import type { ChangePassword, LoginAnswer } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { addressGroup } from './address-group.ts'
import type { Bearers, Caller } from './bearers.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { sourceOf } from './identity/external-users.ts'
import { forgetFailures, isLockedOut } from './lock-out.ts'
import { type LoginFailures, missingCode, wrongCode, wrongLogin } from './login-failures.ts'
import { hashPassword, verifyPassword } from './password.ts'
import type { SecondFactors } from './second-factor/second-factors.ts'
import { startSession } from './session-start.ts'
import { Turns } from './turns.ts'

const passwordChecksAtOnceMax = 2

/** Logging in and out. */
export class Logins {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #bearers: Bearers
  readonly #secondFactors: SecondFactors
  readonly #clock: Clock
  readonly #failures: LoginFailures
  readonly #turns = new Turns(passwordChecksAtOnceMax)
  /** Checked for a user who does not exist, so that the answer takes as long. */
  readonly #nobody = hashPassword('no user has this password')

  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    bearers: Bearers,
    secondFactors: SecondFactors,
    failures: LoginFailures,
    clock: Clock,
  ) {
    this.#database = database
    this.#events = events
    this.#bearers = bearers
    this.#secondFactors = secondFactors
    this.#clock = clock
    this.#failures = failures
    // Whoever awaits it next sees the failure.
    this.#nobody.catch(() => {})
  }

  /**
   * Begins a session for whoever asks from `address`. Throws `not-logged-in`, with one text and after the same work
   * whether the user does not exist, is locked out there or has another password; `second-factor-required` where the password
   * is right and a code has to come with it, or was wrong, which counts like a wrong password; `too-busy`.
   */
  async logIn(name: string, password: string, address: string, code?: string): Promise<LoginAnswer> {
    const group = addressGroup(address)
    return this.#turns.take(name, group, async () => {
      const user = await this.#database.selectFrom('user').selectAll().where('name', '=', name).executeTakeFirst()
      const locked = await isLockedOut(this.#database, name, group, this.#clock())
      const right = await verifyPassword(password, user?.password_hash ?? (await this.#nobody))
      if (user === undefined || locked || !right) {
        await this.#failures.add(user?.name ?? null, locked, address)
        throw wrongLogin()
      }
      const answer = await this.#events.transaction(async (transaction, record) => {
        // They may have been changed while the password was checked.
        const now = await transaction.selectFrom('user').selectAll().where('name', '=', name).executeTakeFirst()
        if (now?.password_hash !== user.password_hash) {
          throw new ControlPlaneError('not-logged-in', 'the user was changed just now: log in again')
        }
        const factor = await this.#secondFactors.use(transaction, record, user.name, code)
        if (factor === 'missing' || factor === 'wrong') return factor
        await record({ type: 'user.login', text: `${user.name} logged in from ${address}`, user: user.name })
        await forgetFailures(transaction, user.name, group)
        return startSession(transaction, this.#bearers, user.name, address, this.#clock())
      })
      if (typeof answer === 'object') return answer
      if (answer === 'missing') throw missingCode()
      await this.#failures.add(user.name, false, address)
      throw wrongCode('second-factor-required')
    })
  }

  /**
   * Gives `caller` another password, for the one that they have; their other sessions end. Throws `invalid` for an API token,
   * for a user of an identity source, and when `oldPassword` is wrong, which counts as a failed login from `address`; `too-busy`.
   */
  async changePassword(caller: Caller, { oldPassword, newPassword }: ChangePassword, address: string): Promise<void> {
    if (caller.bearer.kind !== 'session') {
      throw new ControlPlaneError('invalid', 'an API token cannot change the password: log in with your password')
    }
    const source = await sourceOf(this.#database, caller.name)
    if (source !== null) {
      throw new ControlPlaneError('invalid', `you log in by ${source} and have no password here: change it there`)
    }
    const group = addressGroup(address)
    await this.#turns.take(caller.name, group, async () => {
      const user = await this.#database
        .selectFrom('user')
        .selectAll()
        .where('name', '=', caller.name)
        .executeTakeFirst()
      const locked = await isLockedOut(this.#database, caller.name, group, this.#clock())
      const right = await verifyPassword(oldPassword, user?.password_hash ?? (await this.#nobody))
      if (user === undefined || locked || !right) {
        await this.#failures.add(user?.name ?? null, locked, address)
        throw new ControlPlaneError(
          'invalid',
          'oldPassword: it is wrong; after several wrong passwords even the right one is refused for a while',
          { field: 'oldPassword' },
        )
      }
      const password_hash = await hashPassword(newPassword)
      await this.#events.transaction(async (transaction, record) => {
        const { numUpdatedRows } = await transaction
          .updateTable('user')
          .set({ password_hash })
          .where('name', '=', user.name)
          .where('password_hash', '=', user.password_hash)
          .executeTakeFirst()
        if (numUpdatedRows === 0n) {
          throw new ControlPlaneError('not-logged-in', 'the user was changed just now: log in again')
        }
        await transaction
          .deleteFrom('bearer')
          .where('user_name', '=', user.name)
          .where('kind', '=', 'session')
          .where('id', '!=', caller.bearer.id)
          .execute()
        await forgetFailures(transaction, user.name)
        await record({ type: 'user.changed', text: `user ${user.name} has a new password`, user: user.name })
      })
    })
  }

  /**
   * Takes the second factor of `caller` off, for a code of it. Throws `invalid` for a wrong code, which counts as a failed
   * login from `address`, while locked out, and where there is none; `too-busy`.
   */
  async disableSecondFactor(caller: Caller, code: string, address: string): Promise<void> {
    const { name } = caller
    if (caller.bearer.kind !== 'session') {
      throw new ControlPlaneError(
        'invalid',
        'an API token cannot take off the second factor: log in with your password',
      )
    }
    const group = addressGroup(address)
    await this.#turns.take(name, group, async () => {
      const user = await this.#database.selectFrom('user').selectAll().where('name', '=', name).executeTakeFirst()
      const locked = await isLockedOut(this.#database, name, group, this.#clock())
      const outcome = locked
        ? 'wrong'
        : await this.#events.transaction(async (transaction, record) => {
            const used = await this.#secondFactors.use(transaction, record, name, code)
            if (used === 'right') {
              await this.#secondFactors.disable(transaction, record, name)
              await forgetFailures(transaction, name, group)
            }
            return used
          })
      if (outcome === 'none') throw new ControlPlaneError('invalid', 'you have no second factor')
      if (outcome === 'right') return
      await this.#failures.add(user?.name ?? null, locked, address)
      throw wrongCode('invalid')
    })
  }

  /** Ends the session of `caller`, or makes their API token worthless. */
  async logOut(caller: Caller): Promise<void> {
    await this.#bearers.remove(this.#database, caller.bearer.id)
  }
}
