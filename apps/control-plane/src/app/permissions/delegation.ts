import type { Privilege } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { requirePrivileges } from '../access-control.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { ObjectPath } from '../inventory/inventory-object.ts'
import { anythingIn, pathOfId } from '../inventory/object-paths.ts'
import type { Principal } from '../ports.ts'
import { privilegesOf } from '../role-privileges.ts'
import { type Grant, Grants } from './grants.ts'

/*
 * Nobody gives away, takes over or takes away what they do not have themselves: otherwise the right to manage permissions
 * would be the right to everything, keys included.
 */

/**
 * Throws `no-privilege` when `by` lacks one of `privileges` on an object or, where they propagate, on something in it: there
 * may be a permission further down that takes them away from `by`.
 */
export async function requireCovered(
  database: Kysely<Schema>,
  by: Principal,
  privileges: ReadonlySet<Privilege>,
  on: ObjectPath,
  propagate: boolean,
): Promise<void> {
  requirePrivileges(by, privileges, on)
  if (!propagate) return
  const [top] = on
  for (const privilege of privileges) {
    if (by.can(privilege, anythingIn(top.kind, on))) continue
    throw new ControlPlaneError('no-privilege', lacksBelow(by, privilege))
  }
  for (const each of by.grantedOn) {
    const path = await pathOfId(database, each)
    if (path === null || !path.slice(1).some((object) => object.kind === top.kind && object.id === top.id)) continue
    for (const privilege of privileges) {
      if (!by.can(privilege, path) || !by.can(privilege, anythingIn(path[0].kind, path))) {
        throw new ControlPlaneError('no-privilege', lacksBelow(by, privilege))
      }
    }
  }
}

const lacksBelow = (by: Principal, privilege: Privilege) =>
  `you need the privilege ${privilege} on all that lies in the object, too, and ${by.name} lacks it somewhere: give the role without propagation, or on the parts one by one`

/** Throws `no-privilege` when a user has, anywhere, what `by` does not have there. */
export async function requireCoversUser(database: Kysely<Schema>, by: Principal, user: string): Promise<void> {
  const { all } = await Grants.read(database, user)
  for (const grant of all) await requireCoversGrant(database, by, grant)
}

/** Throws `no-privilege` when a group has, anywhere, what `by` does not have there. */
export async function requireCoversGroup(database: Kysely<Schema>, by: Principal, group: string): Promise<void> {
  const rows = await database
    .selectFrom('permission')
    .innerJoin('role', 'role.name', 'permission.role_name')
    .select(['object_kind', 'object_id', 'propagate', 'privileges'])
    .where('group_name', '=', group)
    .execute()
  for (const { object_kind, object_id, propagate, privileges } of rows) {
    // Written by us, as an `ObjectKind`.
    const path = await pathOfId(database, { kind: object_kind as ObjectPath[number]['kind'], id: object_id })
    if (path !== null) await requireCovered(database, by, privilegesOf(privileges), path, propagate === 1)
  }
}

async function requireCoversGrant(database: Kysely<Schema>, by: Principal, grant: Grant): Promise<void> {
  const path = await pathOfId(database, grant.object)
  if (path !== null) await requireCovered(database, by, grant.privileges, path, grant.propagate)
}

/** What users have on an object and on what lies in it, before something changes. */
export type Snapshot = ReadonlyMap<
  string,
  { readonly here: ReadonlySet<Privilege>; readonly below: ReadonlySet<Privilege> }
>

/** What each of `users` has on an object, and on what lies in it as far as nothing further down says otherwise. */
export async function snapshot(database: Kysely<Schema>, users: readonly string[], on: ObjectPath): Promise<Snapshot> {
  const found = new Map<string, { here: ReadonlySet<Privilege>; below: ReadonlySet<Privilege> }>()
  for (const user of users) {
    const grants = await Grants.read(database, user)
    found.set(user, {
      here: grants.privilegesOn(on),
      below: grants.privilegesOn(anythingIn(on[0].kind, on)),
    })
  }
  return found
}

/**
 * Throws `no-privilege` when a user has more now than in `before` that `by` does not have: a permission that is taken away,
 * or made smaller, may have hidden a larger one from above.
 */
export async function requireGainsCovered(
  database: Kysely<Schema>,
  by: Principal,
  before: Snapshot,
  on: ObjectPath,
): Promise<void> {
  const after = await snapshot(database, [...before.keys()], on)
  for (const [user, now] of after) {
    const then = before.get(user)
    if (then === undefined) continue
    requirePrivileges(by, now.here.difference(then.here), on)
    await requireCovered(database, by, now.below.difference(then.below), on, true)
  }
}
