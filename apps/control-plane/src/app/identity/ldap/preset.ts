import type { LdapConfig, LdapPreset } from '@cryptvisor/control-plane-api'
import {
  type AccountState,
  activeDirectoryState,
  activeDirectoryStateAttributes,
  freeIpaState,
  freeIpaStateAttributes,
  openLdapState,
  openLdapStateAttributes,
} from './account-state.ts'
import type { LdapEntry } from './ldap-response.ts'

/** How groups are found that somebody is in. */
export type GroupLookup =
  /** Groups that have the entry's DN in one of the attributes, or its name in the last. */
  | { readonly by: 'member'; readonly dnAttributes: readonly string[]; readonly nameInAttribute: string | null }
  /** As above, through groups in groups, which Active Directory works out itself (LDAP_MATCHING_RULE_IN_CHAIN). */
  | { readonly by: 'member-in-chain'; readonly attribute: string; readonly rule: string }
  /** DNs that stand in the user's own entry, groups in groups included. */
  | { readonly by: 'member-of'; readonly attribute: string }

/** How a kind of directory keeps users and groups. */
export interface Preset {
  readonly userFilter: string
  readonly nameAttribute: string
  /** Who it is, for good: another entry under the same name has another. */
  readonly subject: { readonly attribute: string; readonly isGuid: boolean }
  readonly stateAttributes: readonly string[]
  readonly stateOf: (entry: LdapEntry, now: number) => AccountState
  readonly groupFilter: string
  readonly groupNameAttribute: string
  readonly groups: GroupLookup
}

const presets: Readonly<Record<LdapPreset, Preset>> = {
  ad: {
    // Computers and managed service accounts are users there, too.
    userFilter: '(&(objectClass=user)(!(objectClass=computer)))',
    nameAttribute: 'sAMAccountName',
    subject: { attribute: 'objectGUID', isGuid: true },
    stateAttributes: activeDirectoryStateAttributes,
    stateOf: activeDirectoryState,
    // Security groups: others are lists for mail, which more people may change.
    groupFilter: '(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648))',
    // No two groups of a domain have the same, which does not hold for cn.
    groupNameAttribute: 'sAMAccountName',
    groups: { by: 'member-in-chain', attribute: 'member', rule: '1.2.840.113556.1.4.1941' },
  },
  openldap: {
    userFilter: '(|(objectClass=inetOrgPerson)(objectClass=posixAccount)(objectClass=account))',
    nameAttribute: 'uid',
    subject: { attribute: 'entryUUID', isGuid: false },
    stateAttributes: openLdapStateAttributes,
    stateOf: openLdapState,
    groupFilter: '(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))',
    groupNameAttribute: 'cn',
    groups: { by: 'member', dnAttributes: ['member', 'uniqueMember'], nameInAttribute: 'memberUid' },
  },
  freeipa: {
    userFilter: '(objectClass=posixAccount)',
    nameAttribute: 'uid',
    subject: { attribute: 'ipaUniqueID', isGuid: false },
    stateAttributes: freeIpaStateAttributes,
    stateOf: freeIpaState,
    groupFilter: '(objectClass=groupOfNames)',
    groupNameAttribute: 'cn',
    groups: { by: 'member-of', attribute: 'memberOf' },
  },
}

/** The preset of a source, with what its settings have instead. */
export function presetOf(config: LdapConfig): Preset {
  const preset = presets[config.preset]
  const { userFilter, groupFilter, nameAttribute, groupNameAttribute } = config
  return {
    ...preset,
    ...(userFilter === undefined ? {} : { userFilter }),
    ...(groupFilter === undefined ? {} : { groupFilter }),
    ...(nameAttribute === undefined ? {} : { nameAttribute }),
    ...(groupNameAttribute === undefined ? {} : { groupNameAttribute }),
  }
}
