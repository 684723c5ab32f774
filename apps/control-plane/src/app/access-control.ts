import type { Privilege } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from './control-plane-error.ts'
import { describeObject, type ObjectPath, root, rootPath } from './inventory/inventory-object.ts'
import { noSuchObject } from './inventory/object-paths.ts'
import type { Principal } from './ports.ts'

/**
 * Throws `no-privilege`, naming the first of `privileges` that `principal` lacks on an object; `not-found` when they may not
 * even see it. A route declares what it always needs; this is for what depends on the request's content, too. Without an
 * object the root is meant: what concerns the whole installation.
 */
export function requirePrivileges(
  principal: Principal,
  privileges: Iterable<Privilege>,
  on: ObjectPath = rootPath,
): void {
  const [object] = on
  for (const privilege of privileges) {
    if (principal.can(privilege, on)) continue
    if (object.kind !== 'root' && !principal.can('System.Read', on)) throw noSuchObject(object)
    throw lacks(principal.name, privilege, describeObject(object))
  }
}

/** What somebody is told who lacks a privilege `where`, such as «VM web». */
export function lacks(user: string, privilege: Privilege, where: string): ControlPlaneError {
  return new ControlPlaneError(
    'no-privilege',
    `you need the privilege ${privilege} on ${where}, which no permission of ${user} gives: ask an administrator for a role with it there («permission check» says what decides)`,
  )
}

/** Somebody who has these privileges everywhere, such as a service of our own. */
export function everywhere(name: string, privileges: Iterable<Privilege>): Principal {
  const all = new Set(privileges)
  return { name, privileges: all, can: (privilege) => all.has(privilege), grantedOn: [root] }
}
