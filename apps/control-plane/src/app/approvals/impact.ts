import { createHash } from 'node:crypto'
import type { Impact, KeyUser } from '@cryptvisor/control-plane-api'
import { keyText } from '../key-reference.ts'

/** How many things a text names. */
const namesShownMax = 100

/** What dies with `keys`, which `users` need. */
export function impactOf(keys: Impact['keys'], users: readonly KeyUser[], warnings: readonly string[] = []): Impact {
  return { keys: [...keys], users: [...users], warnings: [...warnings] }
}

/** The users of `now` that are not in `before`. */
export function grownBy(before: Impact, now: readonly KeyUser[]): KeyUser[] {
  const known = new Set(before.users.map(identityOf))
  return now.filter((user) => !known.has(identityOf(user)))
}

/** SHA-256 over what is asked for and what dies by it, hexadecimal; the order in which users were found does not matter. */
export function digestOf(approvalId: string, request: string, impact: Impact): string {
  const parts = [
    approvalId,
    request,
    ...impact.keys.map(keyText).toSorted(),
    ...impact.users.map(identityOf).toSorted(),
    ...impact.warnings,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** Every one of `users` in words: «VM web (VM Home, disk 0), host host-a (host key)». */
export function usersText(users: readonly KeyUser[]): string {
  const owners = [...Map.groupBy(users, ({ owner }) => `${ownerWord[owner.kind]} ${owner.name}`)]
  const shown = owners
    .slice(0, namesShownMax)
    .map(
      ([owner, parts]) =>
        `${owner} (${parts.map(({ kind, name }) => (kind === 'task' ? `task ${name}` : name)).join(', ')})`,
    )
  const more = owners.length - shown.length
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more: «keys users» lists them` : ''}`
}

const ownerWord = { vm: 'VM', host: 'host', datastore: 'datastore', 'key-provider': 'key provider' } as const

function identityOf({ key, kind, id }: KeyUser): string {
  return JSON.stringify([keyText(key), kind, id])
}
