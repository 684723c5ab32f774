import type { Privilege } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from './control-plane-error.ts'
import type { Principal } from './ports.ts'

/**
 * Throws `no-privilege`, naming the privilege, unless `principal` has it. A route declares what it always needs; this is
 * for what depends on the request's content.
 */
export function requirePrivilege(principal: Principal, privilege: Privilege): void {
  if (principal.privileges.has(privilege)) return
  throw new ControlPlaneError(
    'no-privilege',
    `you need the privilege ${privilege}, which the role of ${principal.name} does not have: ask an administrator for a role with it`,
  )
}
