import type {
  CheckedPermission,
  ObjectKind,
  Permission,
  PermissionCheck,
  SetPermission,
} from '@cryptvisor/control-plane-api'
import { isPrivilege } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { requirePrivileges } from '../access-control.ts'
import type { Caller } from '../bearers.ts'
import type { Clock } from '../clock.ts'
import { contentRules } from '../content-rules.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { describeObject, type InventoryObject, type ObjectPath } from '../inventory/inventory-object.ts'
import { type ObjectName, objectPath, pathOfId } from '../inventory/object-paths.ts'
import type { Principal } from '../ports.ts'
import { privilegesOfRole } from '../role-lookup.ts'
import { accountsIn, noteAccountAct } from './account-acts.ts'
import { requireCovered, requireGainsCovered, snapshot } from './delegation.ts'
import { Grants } from './grants.ts'
import { requireAdministrator } from './last-administrator.ts'
import { describeGrantee, findPermission, type Grantee, putPermission, usersOf } from './permission-store.ts'

/** Permissions: who has which role on which object. */
export class Permissions {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#clock = clock
  }

  /** Those on objects that `by` may see; of one user or group, or on one object, where that is given. */
  async list(by: Principal, to: Partial<Grantee> = {}, on?: ObjectName): Promise<Permission[]> {
    const only = on === undefined ? null : (await objectPath(this.#database, on, 'object'))[0]
    let found = this.#database.selectFrom('permission').selectAll().orderBy('created_at').orderBy('id')
    if (to.kind === 'user' && to.name !== undefined) found = found.where('user_name', '=', to.name)
    if (to.kind === 'group' && to.name !== undefined) found = found.where('group_name', '=', to.name)
    if (only !== null) found = found.where('object_kind', '=', only.kind).where('object_id', '=', only.id)
    const permissions: Permission[] = []
    for (const row of await found.execute()) {
      // Written by us, as one of these.
      const path = await pathOfId(this.#database, { kind: row.object_kind as ObjectKind, id: row.object_id })
      if (path === null || !by.can('System.Read', path)) continue
      permissions.push({
        object: nameOf(path[0]),
        to:
          row.group_name === null
            ? { kind: 'user', name: row.user_name ?? '' }
            : { kind: 'group', name: row.group_name },
        role: row.role_name,
        propagate: row.propagate === 1,
      })
    }
    return permissions
  }

  /** Of whoever asks: their own, and those of their groups, also on what they may not see. */
  async ofCaller({ grants }: Pick<Caller, 'grants'>): Promise<Permission[]> {
    const permissions: Permission[] = []
    for (const { object, to, role, propagate } of grants.all) {
      const path = await pathOfId(this.#database, object)
      if (path !== null) permissions.push({ object: nameOf(path[0]), to, role, propagate })
    }
    return permissions
  }

  /**
   * Gives a user or a group a role on an object, in place of the one that they had there. Throws `not-found`,
   * `no-privilege` (see `delegation.ts`), `in-use` for the last administrator's.
   */
  async set(request: SetPermission, by: Principal): Promise<Permission> {
    const { to, role, propagate = true } = request
    return this.#change(request.object, to, by, async (transaction, path) => {
      await requireGrantee(transaction, to)
      const privileges = await privilegesOfRole(transaction, role, 'role')
      await requireCovered(transaction, by, privileges, path, propagate)
      await putPermission(transaction, to, path[0], role, propagate, this.#clock())
      for (const user of to.kind === 'user' ? [to.name] : await accountsIn(transaction, to.name)) {
        await noteAccountAct(transaction, { user, by: by.name, act: 'rights', at: this.#clock() })
      }
      const below = propagate ? ' and all that lies in it' : ''
      return {
        text: `${describeGrantee(to)} has role ${role} on ${describeObject(path[0])}${below} now`,
        result: { object: nameOf(path[0]), to, role, propagate },
      }
    })
  }

  /** Takes away what a user or a group was given on an object. Throws as `set`. */
  async remove(object: ObjectName, to: Grantee, by: Principal): Promise<void> {
    await this.#change(object, to, by, async (transaction, path) => {
      const row = await findPermission(transaction, to, path[0])
      if (row === undefined) {
        const message = `${describeGrantee(to)} has no permission on ${describeObject(path[0])}: «permission list» shows those that are`
        throw new ControlPlaneError('not-found', message)
      }
      await transaction.deleteFrom('permission').where('id', '=', row.id).execute()
      const text = `${describeGrantee(to)} has role ${row.role_name} on ${describeObject(path[0])} no more`
      return { text, result: undefined }
    })
  }

  /** Whether a user has a privilege on an object, and which permissions decide. Throws `not-found`, `invalid`. */
  async check(user: string, privilege: string, object: ObjectName, by: Principal): Promise<PermissionCheck> {
    if (!isPrivilege(privilege)) throw noSuchPrivilege(privilege)
    const path = await objectPath(this.#database, object, 'object')
    const { privileges } = user === by.name ? contentRules.checkOneself : contentRules.checkOthers
    requirePrivileges(by, privileges, path)
    await requireGrantee(this.#database, { kind: 'user', name: user })
    const grants = await Grants.read(this.#database, user)
    const deciding = grants.deciding(path)
    return {
      user,
      privilege,
      object: nameOf(path[0]),
      allowed: grants.can(privilege, path),
      because: deciding.map((grant): CheckedPermission => {
        const at = path.find(({ kind, id }) => kind === grant.object.kind && id === grant.object.id)
        const { to, role, propagate } = grant
        return { object: nameOf(at ?? path[0]), to, role, propagate, has: grant.privileges.has(privilege) }
      }),
    }
  }

  /**
   * A change of what `to` has on an object: before and after, `by` covers what is given and taken there, and nobody gains
   * what `by` does not have.
   */
  async #change<Result>(
    object: ObjectName,
    to: Grantee,
    by: Principal,
    change: (
      transaction: Kysely<Schema>,
      path: ObjectPath,
    ) => Promise<{ readonly text: string; readonly result: Result }>,
  ): Promise<Result> {
    return this.#events.transaction(async (transaction, record) => {
      const path = await objectPath(transaction, object, 'object')
      requirePrivileges(by, ['Authorization.ModifyPermissions'], path)
      const before = await findPermission(transaction, to, path[0])
      if (before !== undefined) {
        const privileges = await privilegesOfRole(transaction, before.role_name)
        await requireCovered(transaction, by, privileges, path, before.propagate === 1)
      }
      const had = await snapshot(transaction, await usersOf(transaction, to), path)
      const { text, result } = await change(transaction, path)
      await requireGainsCovered(transaction, by, had, path)
      await requireAdministrator(transaction)
      await record({ type: 'permission.changed', text, user: by.name })
      return result
    })
  }
}

const nameOf = ({ kind, name }: InventoryObject) => ({ kind, name })

async function requireGrantee(database: Kysely<Schema>, { kind, name }: Grantee): Promise<void> {
  const table = kind === 'user' ? 'user' : 'user_group'
  const row = await database.selectFrom(table).select('name').where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ControlPlaneError('not-found', `there is no ${kind} ${name}`, { field: kind })
}

function noSuchPrivilege(text: string): ControlPlaneError {
  const message = `privilege: there is no privilege ${text}: «role add --help» lists those that are`
  return new ControlPlaneError('invalid', message, { field: 'privilege' })
}
