import type { ObjectKind, Privilege } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { ObjectPath } from '../inventory/inventory-object.ts'
import { privilegesOf } from '../role-privileges.ts'

/** A permission of a user: given to them, or to a group that they are in. */
export interface Grant {
  readonly object: { readonly kind: ObjectKind; readonly id: string }
  readonly to: { readonly kind: 'user' | 'group'; readonly name: string }
  readonly role: string
  readonly privileges: ReadonlySet<Privilege>
  readonly propagate: boolean
}

/**
 * All permissions of one user at one moment. As in vSphere: of the objects on the way from an object up to the root the
 * nearest that has any of them decides alone; there the user's own goes before those of groups, and those of several groups
 * unite.
 */
export class Grants {
  readonly all: readonly Grant[]
  readonly #byObject: ReadonlyMap<string, readonly Grant[]>

  constructor(all: readonly Grant[]) {
    this.all = all
    this.#byObject = Map.groupBy(all, ({ object }) => keyOf(object))
  }

  static async read(database: Kysely<Schema>, user: string): Promise<Grants> {
    const rows = await database
      .selectFrom('permission')
      .innerJoin('role', 'role.name', 'permission.role_name')
      .select(['object_kind', 'object_id', 'user_name', 'group_name', 'role_name', 'propagate', 'role.privileges'])
      .where((where) =>
        where.or([
          where('user_name', '=', user),
          where('group_name', 'in', (groups) =>
            groups
              .selectFrom('group_member')
              .select('group_member.group_name')
              .where('group_member.user_name', '=', user),
          ),
        ]),
      )
      .execute()
    return new Grants(
      rows.map((row) => ({
        // Written by us, as one of these.
        object: { kind: row.object_kind as ObjectKind, id: row.object_id },
        to: row.group_name === null ? { kind: 'user', name: user } : { kind: 'group', name: row.group_name },
        role: row.role_name,
        privileges: privilegesOf(row.privileges),
        propagate: row.propagate === 1,
      })),
    )
  }

  /** Those that decide on an object; none: the user has nothing there. */
  deciding(on: ObjectPath): readonly Grant[] {
    for (const [index, object] of on.entries()) {
      const found = (this.#byObject.get(keyOf(object)) ?? []).filter(({ propagate }) => propagate || index === 0)
      if (found.length === 0) continue
      const own = found.filter(({ to }) => to.kind === 'user')
      return own.length > 0 ? own : found
    }
    return []
  }

  can(privilege: Privilege, on: ObjectPath): boolean {
    return this.deciding(on).some(({ privileges }) => privileges.has(privilege))
  }

  privilegesOn(on: ObjectPath): ReadonlySet<Privilege> {
    return new Set(this.deciding(on).flatMap(({ privileges }) => [...privileges]))
  }

  /** Whether there may be an object on which the user has the privilege. */
  canSomewhere(privilege: Privilege): boolean {
    return this.all.some(({ privileges }) => privileges.has(privilege))
  }
}

const keyOf = ({ kind, id }: { readonly kind: ObjectKind; readonly id: string }) => `${kind}:${id}`
