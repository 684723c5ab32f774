import type { KeyUser } from '@cryptvisor/control-plane-api'
import { usersText } from '../../../approvals/impact.ts'
import { hiddenText, type Sight } from '../../../permissions/sight.ts'

/** Users of keys as somebody may see them, and how many more there are. */
export interface SeenUsers {
  readonly users: readonly KeyUser[]
  readonly hiddenCount: number
}

/** Those of `users` whose owner may be seen. */
export function seenUsers(users: readonly KeyUser[], sight: Sight): SeenUsers {
  if (sight.everything) return { users, hiddenCount: 0 }
  const seen = users
    .filter(({ owner }) => sight.sees(owner.kind, owner.id))
    // A layer on a datastore says whose it was once.
    .map((user) => ({ ...user, name: sight.textOf(user.name, user.kind) }))
  return { users: seen, hiddenCount: users.length - seen.length }
}

/** Every one of `users` in words, as far as they may be seen. */
export function seenUsersText(users: readonly KeyUser[], sight: Sight): string {
  const { users: seen, hiddenCount } = seenUsers(users, sight)
  return seen.length === 0
    ? hiddenText(hiddenCount).replace(/^ and /, '')
    : `${usersText(seen)}${hiddenText(hiddenCount)}`
}
