import type { ObjectKind } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import { v7 } from 'uuid'
import type { PermissionRow } from '../../database/access-rows.ts'
import type { Schema } from '../../database/schema.ts'

/** To whom a permission is given. */
export interface Grantee {
  readonly kind: 'user' | 'group'
  readonly name: string
}

/** Such as `user ada`. */
export const describeGrantee = ({ kind, name }: Grantee): string => `${kind} ${name}`

/** On what. */
type Target = Readonly<{ kind: ObjectKind; id: string }>

/** `undefined`: they have none on that object. */
export async function findPermission(
  database: Kysely<Schema>,
  to: Grantee,
  on: Target,
): Promise<PermissionRow | undefined> {
  return database
    .selectFrom('permission')
    .selectAll()
    .where('object_kind', '=', on.kind)
    .where('object_id', '=', on.id)
    .where(to.kind === 'user' ? 'user_name' : 'group_name', '=', to.name)
    .executeTakeFirst()
}

/** Gives a role on an object, in place of the one that they had there. */
export async function putPermission(
  database: Kysely<Schema>,
  to: Grantee,
  on: Target,
  role: string,
  propagate: boolean,
  now: number,
): Promise<void> {
  const before = await findPermission(database, to, on)
  const values = { role_name: role, propagate: propagate ? 1 : 0 }
  if (before !== undefined) {
    await database.updateTable('permission').set(values).where('id', '=', before.id).execute()
    return
  }
  const row: PermissionRow = {
    ...{ id: v7(), object_kind: on.kind, object_id: on.id, created_at: now, ...values },
    user_name: to.kind === 'user' ? to.name : null,
    group_name: to.kind === 'group' ? to.name : null,
  }
  await database.insertInto('permission').values(row).execute()
}

/** Forgets the permissions on an object that is removed, in the transaction that removes it. */
export async function forgetPermissions(database: Kysely<Schema>, kind: ObjectKind, id: string): Promise<void> {
  await database.deleteFrom('permission').where('object_kind', '=', kind).where('object_id', '=', id).execute()
}

/** The users whom a permission of `to` is of. */
export async function usersOf(database: Kysely<Schema>, to: Grantee): Promise<string[]> {
  if (to.kind === 'user') return [to.name]
  const members = await database
    .selectFrom('group_member')
    .select('user_name')
    .where('group_name', '=', to.name)
    .execute()
  return members.map(({ user_name }) => user_name)
}
