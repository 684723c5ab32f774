import { isPrivilege, type Privilege } from '@cryptvisor/control-plane-api'

/** The privileges of a role's row. One that this version does not know gives nothing. */
export function privilegesOf(json: string): ReadonlySet<Privilege> {
  const stored: unknown = JSON.parse(json)
  if (!Array.isArray(stored)) throw new Error('the privileges of a role are not a list')
  return new Set(stored.map(String).filter(isPrivilege))
}
