import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { rootPath } from '../inventory/inventory-object.ts'
import { anythingIn } from '../inventory/object-paths.ts'
import { Grants } from './grants.ts'

/** Of this role at least one user stays, on the root and propagated. */
export const adminRole = 'Admin'

/**
 * Throws `in-use` when nobody is an administrator any more; to be called at the end of the transaction that changes users,
 * groups or permissions.
 */
export async function requireAdministrator(database: Kysely<Schema>): Promise<void> {
  const candidates = await database
    .selectFrom('permission')
    .leftJoin('group_member', 'group_member.group_name', 'permission.group_name')
    .select(['permission.user_name', 'group_member.user_name as member'])
    .where('object_kind', '=', 'root')
    .where('role_name', '=', adminRole)
    .where('propagate', '=', 1)
    .execute()
  for (const { user_name, member } of candidates) {
    const user = user_name ?? member
    if (user === null) continue
    const deciding = (await Grants.read(database, user)).deciding(anythingIn('folder', rootPath))
    if (deciding.some(({ role }) => role === adminRole)) return
  }
  const message = `nobody would be an administrator any more: give another user role ${adminRole} on the root first`
  throw new ControlPlaneError('in-use', message)
}
