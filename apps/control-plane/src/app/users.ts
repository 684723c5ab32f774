import type { ChangeUser, CreateUser, Me, User } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import type { Schema, UserRow } from '../database/schema.ts'
import { type Clock, timeText, timeTextOrNull } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { sourceOf } from './identity/external-users.ts'
import { rootPath } from './inventory/inventory-object.ts'
import { forgetFailures } from './lock-out.ts'
import { hashPassword } from './password.ts'
import { forgetAccountActs, noteAccountAct } from './permissions/account-acts.ts'
import { requireCovered, requireCoversUser } from './permissions/delegation.ts'
import { adminRole, requireAdministrator } from './permissions/last-administrator.ts'
import { putPermission } from './permissions/permission-store.ts'
import type { Principal } from './ports.ts'
import { privilegesOfRole } from './role-lookup.ts'
import { hasSecondFactor } from './second-factor/login-rule.ts'
import { removeSecondFactor } from './second-factor/second-factors.ts'
import { orExists } from './unique.ts'

/**
 * Users. Nobody gives away, or takes over a user who has, privileges that they do not have themselves (`delegation.ts`).
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
    const roles = await rootRoles(this.#database)
    const locks = await this.#locks(this.#database)
    const factors = await this.#database
      .selectFrom('second_factor')
      .selectAll()
      .where('confirmed_at', 'is not', null)
      .execute()
    const withFactor = new Set(factors.map(({ user_name }) => user_name))
    const external = await this.#database.selectFrom('external_user').select(['user_name', 'source_name']).execute()
    const sources = new Map(external.map(({ user_name, source_name }) => [user_name, source_name]))
    return rows.map((row) => {
      const { name } = row
      const [source, role, lock] = [sources.get(name), roles.get(name), locks.get(name)]
      return toUser(row, source ?? null, role ?? null, lock ?? null, withFactor.has(name))
    })
  }

  /** Where a user comes from, in which groups they are, and whether their logins need a code. */
  async belongings(name: string): Promise<Pick<Me, 'source' | 'groups' | 'secondFactor'>> {
    const rows = await this.#database
      .selectFrom('group_member')
      .select('group_name')
      .where('user_name', '=', name)
      .orderBy('group_name')
      .execute()
    return {
      source: await sourceOf(this.#database, name),
      groups: rows.map(({ group_name }) => group_name),
      secondFactor: await hasSecondFactor(this.#database, name),
    }
  }

  /**
   * With a role, the user has it everywhere: a permission on the root; without one, nothing until a permission or a group
   * gives something. Throws `already-exists`, `not-found` for the role, `no-privilege`.
   */
  async create(user: CreateUser, by: Principal): Promise<User> {
    const { name, role } = user
    if (role !== undefined) await this.#requireMayGive(this.#database, role, by)
    const row: UserRow = { name, password_hash: await hashPassword(user.password), created_at: this.#clock() }
    await orExists('name', `there is a user ${name} already: choose another`, () =>
      this.#events.transaction(async (transaction, record) => {
        await requireNoLookalike(transaction, name)
        await requireNotOfSource(transaction, name)
        await transaction.insertInto('user').values(row).execute()
        await noteAccountAct(transaction, { user: name, by: by.name, act: 'made', at: row.created_at })
        if (role !== undefined) await this.#giveRole(transaction, name, role)
        const text = `user ${name} was made with ${role === undefined ? 'no role' : `role ${role}`}`
        await record({ type: 'user.changed', text, user: by.name })
      }),
    )
    return toUser(row, null, role ?? null, null, false)
  }

  /**
   * Changes the role on the root or the password; a new password ends the user's sessions and lock-out. Throws `not-found`,
   * `in-use` for the last administrator's role, `no-privilege`.
   */
  async change(name: string, change: ChangeUser, by: Principal): Promise<User> {
    const passwordHash = change.password === undefined ? undefined : await hashPassword(change.password)
    return this.#events.transaction(async (transaction, record) => {
      const row = await this.#get(transaction, name)
      await requireCoversUser(transaction, by, name)
      if (change.role !== undefined) {
        await this.#requireMayGive(transaction, change.role, by)
        await this.#giveRole(transaction, name, change.role)
        await requireAdministrator(transaction)
        await noteAccountAct(transaction, { user: name, by: by.name, act: 'rights', at: this.#clock() })
      }
      if (passwordHash !== undefined) {
        await requireOwn(transaction, name)
        await transaction.updateTable('user').set({ password_hash: passwordHash }).where('name', '=', name).execute()
        await endSessions(transaction, name)
        await forgetFailures(transaction, name)
        await noteAccountAct(transaction, { user: name, by: by.name, act: 'password', at: this.#clock() })
      }
      const what = [
        ...(change.role === undefined ? [] : [`has role ${change.role} now`]),
        ...(passwordHash === undefined ? [] : ['has a new password']),
      ]
      if (what.length > 0) {
        await record({ type: 'user.changed', text: `user ${name} ${what.join(' and ')}`, user: by.name })
      }
      const role = (await rootRoles(transaction)).get(name) ?? null
      const lockedUntil = (await this.#locks(transaction)).get(name) ?? null
      return toUser(row, await sourceOf(transaction, name), role, lockedUntil, await hasSecondFactor(transaction, name))
    })
  }

  /** Removes a user with their sessions, tokens and permissions. Throws `not-found`, `in-use` for the last administrator. */
  async remove(name: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      await this.#get(transaction, name)
      await requireCoversUser(transaction, by, name)
      await transaction.deleteFrom('user').where('name', '=', name).execute()
      await requireAdministrator(transaction)
      await record({ type: 'user.changed', text: `user ${name} was removed`, user: by.name })
    })
  }

  /**
   * Makes `name` an administrator with this password, whatever was before: for setting up, and for whoever has the
   * machine and lost password or second factor. Sessions and API tokens that the user had are over: who made them is not known then.
   */
  async setAdministrator(name: string, password: string): Promise<void> {
    const values = { password_hash: await hashPassword(password) }
    await this.#events.transaction(async (transaction, record) => {
      await requireNotOfSource(transaction, name)
      await transaction
        .insertInto('user')
        .values({ name, created_at: this.#clock(), ...values })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
        .execute()
      await this.#giveRole(transaction, name, adminRole)
      await transaction.deleteFrom('bearer').where('user_name', '=', name).execute()
      await forgetFailures(transaction, name)
      await removeSecondFactor(transaction, name)
      await forgetAccountActs(transaction, name)
      const text = `${name} was made an administrator with a new password, on the machine itself`
      await record({ type: 'user.changed', text })
    })
  }

  async #requireMayGive(database: Kysely<Schema>, role: string, by: Principal): Promise<void> {
    await requireCovered(database, by, await privilegesOfRole(database, role, 'role'), rootPath, true)
  }

  async #giveRole(database: Kysely<Schema>, user: string, role: string): Promise<void> {
    await putPermission(database, { kind: 'user', name: user }, rootPath[0], role, true, this.#clock())
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

/** The roles that users have by permissions of their own on the root. */
async function rootRoles(database: Kysely<Schema>): Promise<ReadonlyMap<string, string>> {
  const rows = await database
    .selectFrom('permission')
    .select(['user_name', 'role_name'])
    .where('object_kind', '=', 'root')
    .where('user_name', 'is not', null)
    .execute()
  return new Map(rows.map(({ user_name, role_name }) => [user_name ?? '', role_name]))
}

function toUser(
  row: UserRow,
  source: string | null,
  role: string | null,
  lockedUntil: number | null,
  secondFactor: boolean,
): User {
  return {
    name: row.name,
    source,
    role,
    createdAt: timeText(row.created_at),
    lockedUntil: timeTextOrNull(lockedUntil),
    secondFactor,
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

/** Throws `invalid` for a name that a user of an identity source could have. */
async function requireNotOfSource(database: Kysely<Schema>, name: string): Promise<void> {
  const sources = await database.selectFrom('identity_source').select('name').execute()
  const source = sources.find((each) => name.toLowerCase().endsWith(`@${each.name}`))
  if (source === undefined) return
  const message = `name: users of the identity source ${source.name} are called so: choose a name without @${source.name}`
  throw new ControlPlaneError('invalid', message, { field: 'name' })
}

/** Throws `invalid` for a user who has no password here. */
async function requireOwn(database: Kysely<Schema>, name: string): Promise<void> {
  const source = await sourceOf(database, name)
  if (source === null) return
  const message = `password: ${name} logs in by ${source} and has no password here: change it there`
  throw new ControlPlaneError('invalid', message, { field: 'password' })
}

async function endSessions(transaction: Transaction<Schema>, user: string): Promise<void> {
  await transaction.deleteFrom('bearer').where('user_name', '=', user).where('kind', '=', 'session').execute()
}
