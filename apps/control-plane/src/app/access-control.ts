import type { Privilege } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from './control-plane-error.ts'
import type { Principal } from './ports.ts'

/**
 * Throws `no-privilege`, naming the first of `privileges` that `principal` lacks. A route declares what it always needs;
 * this is for what depends on the request's content, too.
 */
export function requirePrivileges(principal: Principal, privileges: Iterable<Privilege>): void {
  for (const privilege of privileges) {
    if (principal.privileges.has(privilege)) continue
    throw new ControlPlaneError(
      'no-privilege',
      `you need the privilege ${privilege}, which the role of ${principal.name} does not have: ask an administrator for a role with it`,
    )
  }
}
