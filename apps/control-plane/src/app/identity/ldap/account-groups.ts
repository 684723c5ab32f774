import type { LdapConfig } from '@cryptvisor/control-plane-api'
import type { Filter } from 'ldapts'
import type { Account } from './account.ts'
import { isBelow, normalDn, ownName } from './distinguished-name.ts'
import type { LdapConnection } from './ldap-connection.ts'
import { LdapFailure } from './ldap-failure.ts'
import { presetOf } from './preset.ts'
import { both, equal, matching, oneOf, parseFilter } from './search-filter.ts'

/** A group of a directory. */
export interface LdapGroup {
  readonly name: string
  readonly dn: string
}

/** The groups that `account` is in. Throws `LdapFailure`. */
export async function groupsOf(connection: LdapConnection, config: LdapConfig, account: Account): Promise<LdapGroup[]> {
  const { groups, groupFilter, groupNameAttribute } = presetOf(config)
  const base = config.groupBase ?? config.userBase
  if (groups.by === 'member-of') {
    // What else stands there (roles, rules of sudo) lies elsewhere.
    const below = account.memberOf.filter((dn) => isBelow(dn, base))
    return below.flatMap((dn) => {
      const name = ownName(dn, groupNameAttribute)
      return name === null ? [] : [{ name, dn }]
    })
  }
  const kinds = parseFilter(groupFilter)
  if (kinds === null) throw new LdapFailure('wrong', 'its group filter cannot be read: give it another one')
  const isIn =
    groups.by === 'member-in-chain'
      ? matching(groups.attribute, groups.rule, account.dn)
      : oneOf([
          ...groups.dnAttributes.map((attribute) => equal(attribute, account.dn)),
          ...byName(groups.nameInAttribute, account.names),
        ])
  const entries = await connection.search({
    base,
    scope: 'sub',
    filter: both(kinds, isIn),
    attributes: [groupNameAttribute],
  })
  return entries
    .filter(({ dn }) => isBelow(dn, base))
    .flatMap(({ dn, attributes }) =>
      (attributes.get(groupNameAttribute.toLowerCase()) ?? []).map((name) => ({ name: name.toString('utf8'), dn })),
    )
}

/** An entry with several names is in no group by one of them: some directories let users add names of their own. */
function byName(attribute: string | null, [name, ...more]: readonly string[]): Filter[] {
  return attribute === null || name === undefined || more.length > 0 ? [] : [equal(attribute, name)]
}

/** What mappings name `groups` by: names and DNs, each in one form. A name that looks like a DN is nobody's. */
export function externalNamesOf(groups: readonly LdapGroup[]): string[] {
  const names = groups.map(({ name }) => name).filter((name) => !name.includes('='))
  return [...new Set([...names, ...groups.map(({ dn }) => dn)].map(externalGroupName))]
}

/** A group of a directory as mappings have it: without regard to case, a DN in its one form. */
export function externalGroupName(text: string): string {
  return (text.includes('=') ? normalDn(text) : null) ?? text.toLowerCase().normalize('NFC')
}
