import type { Privilege } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { privilegesOf } from './role-privileges.ts'

/** The privileges of a role by name. Throws `not-found`, naming `field` where an input named the role. */
export async function privilegesOfRole(
  database: Kysely<Schema>,
  name: string,
  field?: string,
): Promise<ReadonlySet<Privilege>> {
  const row = await database.selectFrom('role').select('privileges').where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw noSuchRole(name, field)
  return privilegesOf(row.privileges)
}

export function noSuchRole(name: string, field?: string): ControlPlaneError {
  return new ControlPlaneError('not-found', `there is no role ${name}`, field === undefined ? {} : { field })
}
