import {
  type ChangeRole,
  type CreateRole,
  isPrivilege,
  type ObjectKind,
  type Privilege,
  type Role,
} from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { RoleRow, Schema } from '../database/schema.ts'
import { requirePrivileges } from './access-control.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { pathOfId } from './inventory/object-paths.ts'
import { accountsIn, noteAccountAct } from './permissions/account-acts.ts'
import { requireCovered } from './permissions/delegation.ts'
import type { Principal } from './ports.ts'
import { noSuchRole } from './role-lookup.ts'
import { privilegesOf } from './role-privileges.ts'
import { orExists } from './unique.ts'

/** Roles: those that are always there, and others. */
export class Roles {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#clock = clock
  }

  /** By name. */
  async list(): Promise<Role[]> {
    const rows = await this.#database.selectFrom('role').selectAll().orderBy('name').execute()
    return rows.map(toRole)
  }

  /** Throws `invalid` for a privilege that does not exist, `already-exists`, and `no-privilege`: see `delegation.ts`. */
  async create(role: CreateRole, by: Principal): Promise<Role> {
    const privileges = [...new Set(role.privileges)].map((text) => privilegeOf(text))
    requirePrivileges(by, privileges)
    const row: RoleRow = { name: role.name, privileges: JSON.stringify(privileges.toSorted()), system: 0 }
    await orExists('name', `there is a role ${role.name} already: choose another`, () =>
      this.#events.transaction(async (transaction, record) => {
        await transaction.insertInto('role').values(row).execute()
        await record({ type: 'user.changed', text: `role ${row.name} was made`, user: by.name })
      }),
    )
    return toRole(row)
  }

  /**
   * Gives it other privileges, wherever somebody has it. Throws `not-found`; `in-use` for a system role; `invalid` for a
   * privilege that does not exist; `no-privilege` when `by` lacks what is given or taken on an object where it counts.
   */
  async change(name: string, { privileges, add = [], remove = [] }: ChangeRole, by: Principal): Promise<Role> {
    return this.#events.transaction(async (transaction, record) => {
      const role = await transaction.selectFrom('role').selectAll().where('name', '=', name).executeTakeFirst()
      if (role === undefined) throw noSuchRole(name)
      if (role.system === 1) {
        throw new ControlPlaneError('in-use', `role ${name} is always there as it is: make another one («role add»)`)
      }
      const before = privilegesOf(role.privileges)
      const chosen = privileges === undefined ? before : new Set(privileges.map(privilegeOf))
      const after = chosen.union(new Set(add.map(privilegeOf))).difference(new Set(remove.map(privilegeOf)))
      const given = after.difference(before)
      const taken = before.difference(after)
      requirePrivileges(by, given)
      await this.#requireCoversHolders(transaction, name, given.union(taken), by)
      const row = { ...role, privileges: JSON.stringify([...after].toSorted()) }
      if (given.size + taken.size === 0) return toRole(row)
      await transaction.updateTable('role').set({ privileges: row.privileges }).where('name', '=', name).execute()
      if (given.size > 0) await this.#noteHolders(transaction, name, by)
      const text = [
        ...(given.size === 0 ? [] : [`gives ${[...given].join(', ')} from now on`]),
        ...(taken.size === 0 ? [] : [`gives ${[...taken].join(', ')} no more`]),
      ].join(' and ')
      await record({ type: 'user.changed', text: `role ${name} ${text}`, user: by.name })
      return toRole(row)
    })
  }

  /** As if `by` gave and took the privileges by permissions, on each object where somebody has the role. */
  async #requireCoversHolders(
    transaction: Kysely<Schema>,
    role: string,
    privileges: ReadonlySet<Privilege>,
    by: Principal,
  ): Promise<void> {
    const permissions = await transaction
      .selectFrom('permission')
      .select(['object_kind', 'object_id', 'propagate'])
      .distinct()
      .where('role_name', '=', role)
      .execute()
    for (const { object_kind, object_id, propagate } of permissions) {
      // Written by us, as one of these.
      const path = await pathOfId(transaction, { kind: object_kind as ObjectKind, id: object_id })
      if (path !== null) await requireCovered(transaction, by, privileges, path, propagate === 1)
    }
  }

  async #noteHolders(transaction: Kysely<Schema>, role: string, by: Principal): Promise<void> {
    const holders = await transaction
      .selectFrom('permission')
      .select(['user_name', 'group_name'])
      .where('role_name', '=', role)
      .execute()
    const users = new Set<string>()
    for (const { user_name, group_name } of holders) {
      if (user_name !== null) users.add(user_name)
      if (group_name !== null) for (const user of await accountsIn(transaction, group_name)) users.add(user)
    }
    for (const user of users) {
      await noteAccountAct(transaction, { user, by: by.name, act: 'rights', at: this.#clock() })
    }
  }

  /** Throws `not-found`; `in-use` for a system role and for one that somebody has. */
  async remove(name: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const role = await transaction.selectFrom('role').selectAll().where('name', '=', name).executeTakeFirst()
      if (role === undefined) throw noSuchRole(name)
      if (role.system === 1) throw new ControlPlaneError('in-use', `role ${name} is always there: it cannot be removed`)
      const permission = await transaction
        .selectFrom('permission')
        .select(['user_name', 'group_name'])
        .where('role_name', '=', name)
        .executeTakeFirst()
      if (permission !== undefined) {
        const who = permission.group_name === null ? `user ${permission.user_name}` : `group ${permission.group_name}`
        throw new ControlPlaneError(
          'in-use',
          `${who} has role ${name}: give them another role first («permission list»)`,
        )
      }
      await transaction.deleteFrom('role').where('name', '=', name).execute()
      await record({ type: 'user.changed', text: `role ${name} was removed`, user: by.name })
    })
  }
}

function privilegeOf(text: string): Privilege {
  if (isPrivilege(text)) return text
  throw new ControlPlaneError('invalid', `privileges: there is no privilege ${text}`, { field: 'privileges' })
}

function toRole(row: RoleRow): Role {
  return { name: row.name, privileges: [...privilegesOf(row.privileges)], system: row.system === 1 }
}
