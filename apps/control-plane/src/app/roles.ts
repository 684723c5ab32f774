import { type CreateRole, isPrivilege, type Privilege, type Role } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { RoleRow, Schema } from '../database/schema.ts'
import { requirePrivileges } from './access-control.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { Principal } from './ports.ts'
import { noSuchRole } from './role-lookup.ts'
import { privilegesOf } from './role-privileges.ts'
import { orExists } from './unique.ts'

/** Roles: those that are always there, and others. */
export class Roles {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog

  constructor(database: Kysely<Schema>, events: EventLog) {
    this.#database = database
    this.#events = events
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
