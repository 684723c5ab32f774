import type { Impact } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { Sight } from '../permissions/sight.ts'
import { seenUsers } from '../work/keys/usage/seen-users.ts'

/** What of it may be seen, and how much more there is. */
export function seenImpact(impact: Impact, sight: Sight): Impact {
  if (sight.everything) return impact
  const { users, hiddenCount } = seenUsers(impact.users, sight)
  const warnings = impact.warnings.map((warning) => sight.textOf(warning, 'a warning about what you may not see'))
  return { keys: impact.keys, users: [...users], warnings, hiddenCount }
}

/** Throws `no-privilege` when something dies that may not be seen: nobody lets happen what they cannot look at. */
export function requireSeesAll(impact: Impact, sight: Sight): void {
  const { hiddenCount } = seenUsers(impact.users, sight)
  if (hiddenCount === 0) return
  throw new ControlPlaneError(
    'no-privilege',
    `${hiddenCount} of ${impact.users.length} things that would die you may not see: somebody with System.Read on all of them has to approve it`,
  )
}
