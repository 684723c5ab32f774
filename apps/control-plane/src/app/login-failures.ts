import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { addressGroup } from './address-group.ts'
import { type Clock, timeText } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { EventAllowance } from './event-allowance.ts'
import type { EventLog } from './events.ts'
import { countFailure } from './lock-out.ts'

/** Logins that failed: counted for the lock-out, and recorded as far as a flood of them leaves room. */
export class LoginFailures {
  readonly #events: EventLog
  readonly #clock: Clock
  readonly #allowance: EventAllowance

  constructor(events: EventLog, clock: Clock) {
    this.#events = events
    this.#clock = clock
    this.#allowance = new EventAllowance(clock)
  }

  /**
   * One as `user`; `null`: as nobody that we have. Attempts while locked out are not counted: whoever tries again and again
   * by mistake gets in some time. `cause`: what a directory said, where one was asked.
   */
  async add(user: string | null, locked: boolean, address: string, cause?: string): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const now = this.#clock()
      // Somebody who was removed meanwhile has nothing to count at.
      const isThere = user !== null && (await isUser(transaction, user))
      const until = isThere && !locked ? await countFailure(transaction, user, addressGroup(address), now) : null
      const omittedCount = this.#allowance.take(until !== null)
      if (omittedCount === null) return
      // A name that nobody has may be a password in the wrong field.
      const what =
        user === null
          ? 'a login failed: there is no such user'
          : `a login as ${user} failed${cause === undefined ? '' : `: ${cause}`}`
      const lock = until === null ? '' : `; from there it is refused until ${timeText(until)}`
      await record({
        type: 'user.login-failed',
        text: `${what} (from ${address}${lock}${omittedText(omittedCount)})`,
        user,
      })
    })
  }

  /** One by way of an identity source; `cause` says why in words, and holds nothing that a stranger wrote. */
  async addAt(source: string, cause: string, address: string): Promise<void> {
    const omittedCount = this.#allowance.take(false)
    if (omittedCount === null) return
    const text = `a login by ${source} failed: ${cause} (from ${address}${omittedText(omittedCount)})`
    await this.#events.transaction(async (_transaction, record) => {
      await record({ type: 'user.login-failed', text })
    })
  }

  /** An identity source could not be asked, or its answer does not hold. */
  async addBroken(source: string, cause: string): Promise<void> {
    const omittedCount = this.#allowance.take(false)
    if (omittedCount === null) return
    await this.#events.transaction(async (_transaction, record) => {
      await record({ type: 'identity-source.failed', text: `${source}: ${cause}${omittedText(omittedCount)}` })
    })
  }
}

const omittedText = (count: number) => (count === 0 ? '' : `; ${count} more were not recorded one by one`)

/** What whoever gave a wrong name or password is told, of whatever users: it says nothing of which of them it was. */
export function wrongLogin(): ControlPlaneError {
  const message =
    'user name or password is wrong; after several wrong passwords even the right one is refused for a while'
  return new ControlPlaneError('not-logged-in', message)
}

/** What whoever gave a wrong code is told. */
export function wrongCode(code: 'invalid' | 'second-factor-required'): ControlPlaneError {
  const message =
    'code: it is wrong, or was used already: wait for the next one; after several wrong codes even the right one is refused for a while'
  return new ControlPlaneError(code, message, { field: 'code' })
}

/** What whoever has to give a code, and gave none, is told. */
export function missingCode(): ControlPlaneError {
  const message = 'code: give the code of your second factor with the password'
  return new ControlPlaneError('second-factor-required', message, { field: 'code' })
}

async function isUser(database: Kysely<Schema>, name: string): Promise<boolean> {
  return (await database.selectFrom('user').select('name').where('name', '=', name).executeTakeFirst()) !== undefined
}
