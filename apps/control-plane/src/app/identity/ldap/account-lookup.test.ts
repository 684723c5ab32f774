import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { Slapd, slapdAdmin, suffix } from '@cryptvisor/testkit/slapd'
import { directoryConfig, directoryEntries, people } from '../../../testing/directory-plane.ts'
import { findByName, findBySubject } from './account.ts'
import { groupsOf } from './account-groups.ts'
import { LdapConnection } from './ldap-connection.ts'
import { ldapServersOf } from './ldap-server.ts'

const now = Date.parse('2026-11-24T12:00:00Z')
const guid = 'efbbbf00-2829-5c2a-ff00-000000000001'

/** The bytes of a GUID as a domain controller has them; these are no text, and begin as a byte order mark turned round. */
const guidBytes = Buffer.from('00bfbbef29282a5cff00000000000001', 'hex')

const controller = (name: string, more: string) => `
dn: cn=${name},${people}
objectClass: user
cn: ${name}
sn: ${name}
sAMAccountName: ${name}
userAccountControl: 512
accountExpires: 9223372036854775807
${more}`

const manyGroups = Array.from(
  { length: 600 },
  (_, index) => `
dn: cn=team-${index},ou=groups,${suffix}
objectClass: groupOfNames
cn: team-${index}
member: uid=alice,${people}
`,
).join('')

test('Active Directory’s attributes: IDs of bytes are found again, and states are seen', async (context) => {
  const ldif = `${directoryEntries}${controller('erin', `objectGUID:: ${guidBytes.toString('base64')}\n`)}${manyGroups}`
  await using slapd = await Slapd.start(temporaryFolder(context), ldif)
  const config = directoryConfig(slapd, { preset: 'ad' })
  const [server] = ldapServersOf(config)
  assert.ok(server !== undefined)
  await using connection = await LdapConnection.open(server, config.ca)
  assert.equal((await connection.bind(slapdAdmin.dn, slapdAdmin.password)).isIn, true)
  const erin = await findByName(connection, config, 'ERIN', now)
  assert.deepEqual([erin?.subject, erin?.state, erin?.names], [guid, 'open', ['erin']])
  assert.equal((await findBySubject(connection, config, guid, now))?.dn, `cn=erin,${people}`)
  assert.equal(await findBySubject(connection, config, randomUUID(), now), null)
  // Pages: more groups than a page has.
  const open = directoryConfig(slapd)
  const alice = await findByName(connection, open, 'alice', now)
  assert.ok(alice !== null)
  const groups = await groupsOf(connection, open, alice)
  assert.equal(groups.length, 602)
  assert.ok(groups.some(({ name }) => name === 'team-599'))
})
