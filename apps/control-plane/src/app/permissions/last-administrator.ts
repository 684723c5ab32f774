import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { rootPath } from '../inventory/inventory-object.ts'
import { anythingIn } from '../inventory/object-paths.ts'
import { Grants } from './grants.ts'

/** Of this role at least one user of our own stays, on the root and propagated: identity sources may be down, or lie. */
export const adminRole = 'Admin'

/**
 * Throws `in-use` when nobody of our own is an administrator any more; to be called at the end of the transaction that changes users,
 * groups or permissions.
 */
export async function requireAdministrator(database: Kysely<Schema>): Promise<void> {
  const candidates = await database
    .selectFrom('permission')
    .leftJoin('group_member', 'group_member.group_name', 'permission.group_name')
    .leftJoin('external_user', (join) =>
      join.on((on) =>
        on.or([
          on('external_user.user_name', '=', on.ref('permission.user_name')),
          on('external_user.user_name', '=', on.ref('group_member.user_name')),
        ]),
      ),
    )
    .select(['permission.user_name', 'group_member.user_name as member'])
    .where('external_user.user_name', 'is', null)
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
  const message = `no user of the control plane's own would be an administrator any more: give another one role ${adminRole} on the root first`
  throw new ControlPlaneError('in-use', message)
}
