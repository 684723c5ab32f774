import type { ChangeUser, CreateUser, User } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import type { Schema, UserRow } from '../database/schema.ts'
import { requirePrivileges } from './access-control.ts'
import { type Clock, timeText, timeTextOrNull } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { forgetFailures } from './lock-out.ts'
import { hashPassword } from './password.ts'
import type { Principal } from './ports.ts'
import { privilegesOfRole } from './roles.ts'
import { orExists } from './unique.ts'

/** Of this role at least one user stays. */
export const adminRole = 'Admin'

/**
 * Users. Nobody gives away, or takes over a user who has, privileges that they do not have themselves: otherwise the
 * right to manage users would be the right to everything, keys included.
 */
export class Users {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#clock = clock
  }

  /** By name. */
  async list(): Promise<User[]> {
    const rows = await this.#database.selectFrom('user').selectAll().orderBy('name').execute()
    const locks = await this.#locks(this.#database)
    return rows.map((row) => toUser(row, locks.get(row.name) ?? null))
  }

  /** Throws `already-exists`, `not-found` for the role, `no-privilege`. */
  async create(user: CreateUser, by: Principal): Promise<User> {
    requirePrivileges(by, await privilegesOfRole(this.#database, user.role, 'role'))
    const row: UserRow = {
      name: user.name,
      role_name: user.role,
      password_hash: await hashPassword(user.password),
      created_at: this.#clock(),
    }
    await orExists('name', `there is a user ${user.name} already: choose another`, () =>
      this.#events.transaction(async (transaction, record) => {
        await requireNoLookalike(transaction, user.name)
        await transaction.insertInto('user').values(row).execute()
        const text = `user ${user.name} was made with role ${user.role}`
        await record({ type: 'user.changed', text, user: by.name })
      }),
    )
    return toUser(row, null)
  }

  /**
   * Changes role or password; a new password ends the user's sessions and lock-out. Throws `not-found`, `in-use` for
   * the last administrator's role, `no-privilege`.
   */
  async change(name: string, change: ChangeUser, by: Principal): Promise<User> {
    const passwordHash = change.password === undefined ? undefined : await hashPassword(change.password)
    return this.#events.transaction(async (transaction, record) => {
      const row = await this.#get(transaction, name)
      requirePrivileges(by, await privilegesOfRole(transaction, row.role_name))
      if (change.role !== undefined) {
        requirePrivileges(by, await privilegesOfRole(transaction, change.role, 'role'))
        if (change.role !== adminRole) await requireOtherAdmin(transaction, row)
      }
      const changed: UserRow = {
        ...row,
        role_name: change.role ?? row.role_name,
        ...(passwordHash === undefined ? {} : { password_hash: passwordHash }),
      }
      await transaction.updateTable('user').set(changed).where('name', '=', name).execute()
      if (passwordHash !== undefined) {
        await endSessions(transaction, name)
        await forgetFailures(transaction, name)
      }
      const what = [
        ...(change.role === undefined ? [] : [`has role ${change.role} now`]),
        ...(passwordHash === undefined ? [] : ['has a new password']),
      ]
      if (what.length > 0) {
        await record({ type: 'user.changed', text: `user ${name} ${what.join(' and ')}`, user: by.name })
      }
      return toUser(changed, (await this.#locks(transaction)).get(name) ?? null)
    })
  }

  /** Removes a user with their sessions and tokens. Throws `not-found`, `in-use` for the last administrator. */
  async remove(name: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await this.#get(transaction, name)
      requirePrivileges(by, await privilegesOfRole(transaction, row.role_name))
      await requireOtherAdmin(transaction, row)
      await transaction.deleteFrom('user').where('name', '=', name).execute()
      await record({ type: 'user.changed', text: `user ${name} was removed`, user: by.name })
    })
  }

  /**
   * Makes `name` an administrator with this password, whatever was before: for setting up, and for whoever has the
   * machine and lost the password. Sessions and API tokens that the user had are over: who made them is not known then.
   */
  async setAdministrator(name: string, password: string): Promise<void> {
    const values = {
      role_name: adminRole,
      password_hash: await hashPassword(password),
    }
    await this.#events.transaction(async (transaction, record) => {
      await transaction
        .insertInto('user')
        .values({ name, created_at: this.#clock(), ...values })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
        .execute()
      await transaction.deleteFrom('bearer').where('user_name', '=', name).execute()
      await forgetFailures(transaction, name)
      const text = `${name} was made an administrator with a new password, on the machine itself`
      await record({ type: 'user.changed', text })
    })
  }

  async #get(transaction: Transaction<Schema>, name: string): Promise<UserRow> {
    const row = await transaction.selectFrom('user').selectAll().where('name', '=', name).executeTakeFirst()
    if (row === undefined) throw new ControlPlaneError('not-found', `there is no user ${name}`)
    return row
  }

  /** Until when users are locked out, the longest of their addresses; those who are not are not in it. */
  async #locks(database: Kysely<Schema>): Promise<ReadonlyMap<string, number>> {
    const rows = await database
      .selectFrom('login_failure')
      .select(['user_name', (select) => select.fn.max('locked_until').as('until')])
      .where('locked_until', '>', this.#clock())
      .groupBy('user_name')
      .execute()
    return new Map(rows.flatMap(({ user_name, until }) => (until === null ? [] : [[user_name, until] as const])))
  }
}

function toUser(row: UserRow, lockedUntil: number | null): User {
  return {
    name: row.name,
    role: row.role_name,
    createdAt: timeText(row.created_at),
    lockedUntil: timeTextOrNull(lockedUntil),
  }
}

/** Two users whose names differ in case alone could be taken for each other, in events above all. */
async function requireNoLookalike(transaction: Transaction<Schema>, name: string): Promise<void> {
  const other = await transaction
    .selectFrom('user')
    .select('name')
    .where((where) => where(where.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst()
  if (other === undefined) return
  const message = `name: there is a user ${other.name} already: choose another name`
  throw new ControlPlaneError('already-exists', message, { field: 'name' })
}

async function requireOtherAdmin(transaction: Transaction<Schema>, user: UserRow): Promise<void> {
  if (user.role_name !== adminRole) return
  const other = await transaction
    .selectFrom('user')
    .select('name')
    .where('role_name', '=', adminRole)
    .where('name', '!=', user.name)
    .executeTakeFirst()
  if (other !== undefined) return
  throw new ControlPlaneError('in-use', `${user.name} is the last administrator: give another user role Admin first`)
}

async function endSessions(transaction: Transaction<Schema>, user: string): Promise<void> {
  await transaction.deleteFrom('bearer').where('user_name', '=', user).where('kind', '=', 'session').execute()
}
