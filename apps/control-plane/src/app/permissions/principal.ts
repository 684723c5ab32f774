import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { rootPath } from '../inventory/inventory-object.ts'
import type { Principal } from '../ports.ts'
import { Grants } from './grants.ts'

/**
 * A user with the permissions that they have now: for what goes on in their name when their request is long over. One who is gone
 * has none.
 */
export async function principalNamed(database: Kysely<Schema>, name: string): Promise<Principal> {
  const grants = await Grants.read(database, name)
  return {
    name,
    privileges: grants.privilegesOn(rootPath),
    can: (privilege, on) => grants.can(privilege, on),
    grantedOn: grants.all.map(({ object }) => object),
  }
}
