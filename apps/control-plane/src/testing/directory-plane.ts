import type { EventType, LdapConfig } from '@cryptvisor/control-plane-api'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { type Slapd, slapdAdmin, suffix } from '@cryptvisor/testkit/slapd'
import { Client } from 'ldapts'
import { Admission } from '../app/identity/admission.ts'
import { GroupMappings } from '../app/identity/group-mappings.ts'
import { findSource } from '../app/identity/identity-source.ts'
import { IdentitySources } from '../app/identity/identity-sources.ts'
import { DirectoryPart } from '../app/identity/ldap/directory-part.ts'
import { PasswordLogins } from '../app/identity/password-logins.ts'
import { LoginFailures } from '../app/login-failures.ts'
import { openAccessPlane } from './access-plane.ts'

export const readerPassword = 'the reader’s password'
export const people = `ou=people,${suffix}`
const groups = `ou=groups,${suffix}`

/** Everybody's password is `PASSWORD of NAME`. */
export const passwordOf = (name: string) => `the password of ${name}`

/** A directory with people and groups, as small companies have them. */
export const directoryEntries = `dn: ${suffix}
objectClass: domain
dc: example

dn: cn=reader,${suffix}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: ${readerPassword}

dn: ${people}
objectClass: organizationalUnit
ou: people

dn: ${groups}
objectClass: organizationalUnit
ou: groups

dn: ou=hidden,${suffix}
objectClass: organizationalUnit
ou: hidden
${['alice', 'bob', 'carol'].map(person).join('')}
dn: cn=vm-operators,${groups}
objectClass: groupOfNames
cn: vm-operators
member: uid=alice,${people}
member: uid=bob,${people}

dn: cn=staff,${groups}
objectClass: posixGroup
cn: staff
gidNumber: 100
memberUid: alice
memberUid: carol
`

/** An entry for somebody. */
export function person(name: string): string {
  return `
dn: uid=${name},${people}
objectClass: inetOrgPerson
uid: ${name}
cn: ${name}
sn: ${name}
userPassword: ${passwordOf(name)}
`
}

/** As the source `corp` of a plane: how it is asked, without the ways that a test is about. */
export function directoryConfig(slapd: Slapd, more: Partial<LdapConfig> = {}): LdapConfig {
  return {
    preset: 'openldap',
    servers: [slapd.tlsUrl],
    ca: slapd.ca,
    bindDn: `cn=reader,${suffix}`,
    userBase: people,
    groupBase: groups,
    ...more,
  }
}

/** A plane whose source `corp` is a directory, with the group `operators` of ours, which its vm-operators are in. */
export async function openDirectoryPlane(config: LdapConfig, bindPassword: string | null = readerPassword) {
  await using stack = new AsyncDisposableStack()
  const plane = stack.use(await openAccessPlane())
  const { database, events, bearers, secondFactors, logins: own, admin } = plane
  using rootKey = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), rootKey)
  const clock = plane.now
  const failures = new LoginFailures(events, clock)
  const sources = new IdentitySources(database, events, barrier, clock)
  const mappings = new GroupMappings(events, plane.now)
  const admission = new Admission({ events, bearers, secondFactors, failures, clock })
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const directories = new DirectoryPart({ database, events, sources, admission, failures, clock, log, failureMsMin: 0 })
  const logins = new PasswordLogins(database, own, directories.logins)
  await sources.create({ name: 'corp', ldap: config }, admin)
  const setPassword = async (text: string) => {
    using secret = Secret.from(new TextEncoder().encode(text))
    await sources.setSecret('corp', secret, admin)
  }
  if (bindPassword !== null) await setPassword(bindPassword)
  await plane.groups.create({ name: 'operators' }, admin)
  await mappings.add('corp', { external: 'VM-Operators', group: 'operators' }, admin)
  const kept = stack.move()
  return {
    ...{ plane, sources, mappings, directories, setPassword },
    logIn: (user: string, password: string, address = '192.0.2.1') => logins.logIn({ user, password }, address),
    recheck: () => directories.recheck.recheck('corp'),
    source: () => findSource(database, 'corp'),
    tryOut: async (user?: string) => directories.tests.test(await findSource(database, 'corp'), user),
    eventsOf: async (type: EventType) => (await events.list({ type, limit: 20 })).map(({ text }) => text),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Changes the directory as its administrator. */
export async function changing<Result>(slapd: Slapd, change: (client: Client) => Promise<Result>): Promise<Result> {
  await using client = new Client({ url: slapd.plainUrl, timeout: 5000 })
  await client.bind(slapdAdmin.dn, slapdAdmin.password)
  return await change(client)
}
