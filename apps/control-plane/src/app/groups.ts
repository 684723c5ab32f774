import type { CreateGroup, Group } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { ObjectPath } from './inventory/inventory-object.ts'
import { pathOfId } from './inventory/object-paths.ts'
import { noteAccountAct } from './permissions/account-acts.ts'
import { requireCovered, requireGainsCovered, type Snapshot, snapshot } from './permissions/delegation.ts'
import { requireAdministrator } from './permissions/last-administrator.ts'
import type { Principal } from './ports.ts'
import { privilegesOf } from './role-privileges.ts'
import { orExists } from './unique.ts'

/**
 * Groups of users. Whoever puts a user into one gives them the group's permissions, and whoever takes a user out may uncover
 * what the group's hid: both only as far as they have those privileges themselves (`delegation.ts`).
 */
export class Groups {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#clock = clock
  }

  /** By name, each with its members. */
  async list(): Promise<Group[]> {
    const groups = await this.#database.selectFrom('user_group').selectAll().orderBy('name').execute()
    const members = await this.#database.selectFrom('group_member').selectAll().orderBy('user_name').execute()
    const byGroup = Map.groupBy(members, ({ group_name }) => group_name)
    return groups.map(({ name, description }) => ({
      name,
      description,
      members: (byGroup.get(name) ?? []).map(({ user_name }) => user_name),
    }))
  }

  /** An empty one. Throws `already-exists`. */
  async create({ name, description = '' }: CreateGroup, by: Principal): Promise<Group> {
    await orExists('name', `there is a group ${name} already: choose another`, () =>
      this.#events.transaction(async (transaction, record) => {
        await transaction.insertInto('user_group').values({ name, description, created_at: this.#clock() }).execute()
        await record({ type: 'user.changed', text: `group ${name} was made`, user: by.name })
      }),
    )
    return { name, description, members: [] }
  }

  /** Does nothing for somebody who is in it. Throws `not-found` for the group or the user, `no-privilege`. */
  async addMember(group: string, user: string, by: Principal): Promise<void> {
    await this.#change(group, [user], by, async (transaction) => {
      await requireUser(transaction, user)
      await transaction
        .insertInto('group_member')
        .values({ group_name: group, user_name: user, from_source: 0 })
        .onConflict((conflict) => conflict.columns(['group_name', 'user_name']).doUpdateSet({ from_source: 0 }))
        .execute()
      await noteAccountAct(transaction, { user, by: by.name, act: 'rights', at: this.#clock() })
      return `user ${user} is in group ${group} now`
    })
  }

  /** Throws `not-found`, `no-privilege`, `in-use` for the last administrator, `invalid` for what an identity source gives. */
  async removeMember(group: string, user: string, by: Principal): Promise<void> {
    await this.#change(group, [user], by, async (transaction) => {
      const member = await transaction
        .selectFrom('group_member')
        .select('from_source')
        .where('group_name', '=', group)
        .where('user_name', '=', user)
        .executeTakeFirst()
      if (member?.from_source === 1) {
        const message = `user: ${user} is in group ${group} by an identity source, and would be again at the next login: «identity-source unmap-group», or change it there`
        throw new ControlPlaneError('invalid', message, { field: 'user' })
      }
      const { numDeletedRows } = await transaction
        .deleteFrom('group_member')
        .where('group_name', '=', group)
        .where('user_name', '=', user)
        .executeTakeFirst()
      if (numDeletedRows === 0n) {
        throw new ControlPlaneError('not-found', `user ${user} is not in group ${group}`, { field: 'user' })
      }
      return `user ${user} is in group ${group} no more`
    })
  }

  /** With its permissions. Throws as `removeMember`. */
  async remove(group: string, by: Principal): Promise<void> {
    const members = await this.#database
      .selectFrom('group_member')
      .select('user_name')
      .where('group_name', '=', group)
      .execute()
    const users = members.map(({ user_name }) => user_name)
    await this.#change(group, users, by, async (transaction) => {
      await transaction.deleteFrom('user_group').where('name', '=', group).execute()
      return `group ${group} was removed`
    })
  }

  async #change(
    group: string,
    users: readonly string[],
    by: Principal,
    change: (transaction: Transaction<Schema>) => Promise<string>,
  ): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const before = await this.#permissionsOf(transaction, group, users, by)
      const text = await change(transaction)
      for (const { path, had } of before) await requireGainsCovered(transaction, by, had, path)
      await requireAdministrator(transaction)
      await record({ type: 'user.changed', text, user: by.name })
    })
  }

  /** Where the group has permissions, all of which `by` has to cover, and what `users` have there. Throws `not-found`. */
  async #permissionsOf(
    transaction: Transaction<Schema>,
    group: string,
    users: readonly string[],
    by: Principal,
  ): Promise<{ readonly path: ObjectPath; readonly had: Snapshot }[]> {
    const row = await transaction.selectFrom('user_group').select('name').where('name', '=', group).executeTakeFirst()
    if (row === undefined) throw new ControlPlaneError('not-found', `there is no group ${group}`, { field: 'group' })
    const permissions = await transaction
      .selectFrom('permission')
      .innerJoin('role', 'role.name', 'permission.role_name')
      .select(['object_kind', 'object_id', 'propagate', 'privileges'])
      .where('group_name', '=', group)
      .execute()
    const found: { path: ObjectPath; had: Snapshot }[] = []
    for (const { object_kind, object_id, propagate, privileges } of permissions) {
      // Written by us, as an `ObjectKind`.
      const kind = object_kind as ObjectPath[number]['kind']
      const path = await pathOfId(transaction, { kind, id: object_id })
      if (path === null) continue
      await requireCovered(transaction, by, privilegesOf(privileges), path, propagate === 1)
      found.push({ path, had: await snapshot(transaction, users, path) })
    }
    return found
  }
}

async function requireUser(transaction: Transaction<Schema>, name: string): Promise<void> {
  const row = await transaction.selectFrom('user').select('name').where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ControlPlaneError('not-found', `there is no user ${name}`, { field: 'user' })
}
