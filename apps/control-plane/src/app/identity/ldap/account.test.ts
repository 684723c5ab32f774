import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LdapConfig, LdapPreset } from '@cryptvisor/control-plane-api'
import { type Account, accountOf, attributesOf, findBySubject } from './account.ts'
import { externalGroupName, externalNamesOf, groupsOf } from './account-groups.ts'
import type { LdapConnection, LdapSearch } from './ldap-connection.ts'
import type { LdapEntry } from './ldap-response.ts'
import { presetOf } from './preset.ts'

const now = Date.parse('2026-11-24T12:00:00Z')
const dc = 'DC=example,DC=org'
const configOf = (preset: LdapPreset): LdapConfig => ({
  preset,
  servers: ['ldaps://dc1.example.org'],
  anonymous: true,
  userBase: preset === 'freeipa' ? `cn=users,cn=accounts,${dc}` : dc,
  ...(preset === 'freeipa' ? { groupBase: `cn=groups,cn=accounts,${dc}` } : {}),
})

function entry(dn: string, attributes: Readonly<Record<string, string | Buffer | readonly string[]>>): LdapEntry {
  const values = (value: string | Buffer | readonly string[]) =>
    (typeof value === 'string' || Buffer.isBuffer(value) ? [value] : value).map((each) => Buffer.from(each as string))
  return {
    dn,
    attributes: new Map(Object.entries(attributes).map(([name, value]) => [name.toLowerCase(), values(value)])),
  }
}

/** As a domain controller writes them. */
const guid = Buffer.from('33221100554477668899aabbccddeeff', 'hex')
const alice = {
  sAMAccountName: 'Alice',
  objectGUID: guid,
  userAccountControl: '512',
  accountExpires: '9223372036854775807',
  'msDS-User-Account-Control-Computed': '0',
}
const read = (preset: LdapPreset, attributes: Parameters<typeof entry>[1]) =>
  accountOf(presetOf(configOf(preset)), entry(`CN=Alice,CN=Users,${dc}`, attributes), now)

test('Active Directory: an account is its objectGUID, as Windows writes it', () => {
  const account = read('ad', alice)
  assert.equal(account.subject, '00112233-4455-6677-8899-aabbccddeeff')
  assert.deepEqual([account.names, account.state], [['Alice'], 'open'])
  for (const wrong of [
    { objectGUID: guid.subarray(1) },
    { objectGUID: [] as string[] },
    { objectGUID: ['1234567890123456', '1234567890123456'] },
  ]) {
    assert.throws(() => read('ad', { ...alice, ...wrong }), { name: 'AccountRefusal' })
  }
})

test('Active Directory: disabled, expired, locked, and with an expired password', () => {
  // 2026-11-24T11:59:59Z and 12:00:01Z as FILETIME.
  const filetime = (ms: number) => String((BigInt(ms) + 11_644_473_600_000n) * 10_000n)
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{}, 'open'],
    [{ userAccountControl: '66048' }, 'open'],
    [{ userAccountControl: '514' }, 'disabled'],
    [{ userAccountControl: '66050' }, 'disabled'],
    [{ userAccountControl: 'x' }, 'disabled'],
    [{ accountExpires: '0' }, 'open'],
    [{ accountExpires: filetime(now - 1000) }, 'expired'],
    [{ accountExpires: filetime(now + 1000) }, 'open'],
    [{ 'msDS-User-Account-Control-Computed': String(0x10) }, 'locked'],
    [{ 'msDS-User-Account-Control-Computed': String(0x80_0000) }, 'password-expired'],
  ]
  for (const [more, state] of cases) assert.equal(read('ad', { ...alice, ...more }).state, state, JSON.stringify(more))
  const { userAccountControl: _, ...unseen } = alice
  assert.equal(read('ad', unseen).state, 'disabled', 'what may not be seen is no yes')
})

test('OpenLDAP: entryUUID; locked by an administrator, expired, not begun', () => {
  const bob = { uid: 'bob', entryUUID: '2CF879AC-7c88-1041-8dde-7d9fcef3e132' }
  assert.equal(read('openldap', bob).subject, '2cf879ac-7c88-1041-8dde-7d9fcef3e132')
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{}, 'open'],
    [{ pwdAccountLockedTime: '000001010000Z' }, 'disabled'],
    // The directory knows how long: it says so when the password is tried.
    [{ pwdAccountLockedTime: '20261124115900Z' }, 'open'],
    [{ pwdEndTime: '20261124115959Z' }, 'expired'],
    [{ pwdEndTime: '20261124120001Z' }, 'open'],
    [{ pwdStartTime: '20261124120001Z' }, 'disabled'],
    [{ shadowExpire: '-1' }, 'open'],
    [{ shadowExpire: '20000' }, 'expired'],
    [{ shadowExpire: '30000' }, 'open'],
  ]
  for (const [more, state] of cases)
    assert.equal(read('openldap', { ...bob, ...more }).state, state, JSON.stringify(more))
  for (const entryUUID of ['', 'x', '2cf879ac7c8810418dde7d9fcef3e132']) {
    assert.throws(() => read('openldap', { ...bob, entryUUID }), { name: 'AccountRefusal' })
  }
})

test('FreeIPA: ipaUniqueID; locked accounts, and times that Kerberos has', () => {
  const kim = { uid: 'kim', ipaUniqueID: 'd0ba6f0e-a26f-11ef-8a3c-525400123456' }
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    [{}, 'open'],
    [{ nsAccountLock: 'TRUE' }, 'disabled'],
    [{ nsAccountLock: 'false' }, 'open'],
    [{ krbPrincipalExpiration: '20261124115959Z' }, 'expired'],
    [{ krbPasswordExpiration: '20261124115959Z' }, 'password-expired'],
    [{ krbPasswordExpiration: '20270101000000Z' }, 'open'],
  ]
  for (const [more, state] of cases)
    assert.equal(read('freeipa', { ...kim, ...more }).state, state, JSON.stringify(more))
})

/** Answers one question, and keeps it. */
function directory(entries: readonly LdapEntry[]) {
  const asked: LdapSearch[] = []
  const connection = {
    search: async (search: LdapSearch) => {
      asked.push(search)
      return entries
    },
  }
  // Only its search is used here.
  return { asked, connection: connection as unknown as LdapConnection }
}

/** The library escapes all of a value. */
const textOf = (search: LdapSearch | undefined) =>
  search?.filter
    .toString()
    .replace(/\\([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) ?? ''

const someone: Account = { dn: `CN=Alice,CN=Users,${dc}`, subject: '', names: ['alice'], state: 'open', memberOf: [] }

test('Active Directory is asked for groups in groups itself, for security groups alone', async () => {
  const { asked, connection } = directory([
    entry(`CN=Ops,OU=Groups,${dc}`, { sAMAccountName: 'VM-Operators' }),
    entry('CN=Elsewhere,DC=example,DC=net', { sAMAccountName: 'Admins' }),
  ])
  const groups = await groupsOf(connection, configOf('ad'), someone)
  assert.deepEqual(groups, [{ name: 'VM-Operators', dn: `CN=Ops,OU=Groups,${dc}` }])
  assert.equal(
    textOf(asked[0]),
    `(&(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648))(member:1.2.840.113556.1.4.1941:=${someone.dn}))`,
  )
  const guids = directory([])
  await findBySubject(guids.connection, configOf('ad'), '00112233-4455-6677-8899-aabbccddeeff', now)
  assert.match(textOf(guids.asked[0]), /objectGUID=/)
  assert.ok(guids.asked[0]?.attributes.includes('msDS-User-Account-Control-Computed'))
})

test('OpenLDAP is asked for members by DN and by name; who has several names is nobody’s by name', async () => {
  const filterFor = async (names: readonly string[]) => {
    const { asked, connection } = directory([])
    await groupsOf(connection, configOf('openldap'), { ...someone, names })
    return textOf(asked[0])
  }
  assert.match(await filterFor(['alice']), /\(member=CN=Alice,.*\(uniqueMember=CN=Alice,.*\(memberUid=alice\)/)
  assert.doesNotMatch(await filterFor(['alice', 'root']), /memberUid/)
})

test('FreeIPA says groups in the entry; what else stands there is no group', async () => {
  const memberOf = [
    `cn=vm-operators,cn=groups,cn=accounts,${dc}`,
    `cn=vm-operators2,CN=Groups,cn=accounts,${dc.toLowerCase()}`,
    `ipaUniqueID=1,cn=sudorules,cn=sudo,${dc}`,
    `cn=vm-operators3,cn=roles,cn=accounts,${dc}`,
    'no dn',
  ]
  const preset = presetOf(configOf('freeipa'))
  assert.ok(attributesOf(preset).includes('memberOf'))
  const kim = { uid: 'kim', ipaUniqueID: 'd0ba6f0e-a26f-11ef-8a3c-525400123456', memberOf }
  const { asked, connection } = directory([])
  const groups = await groupsOf(connection, configOf('freeipa'), read('freeipa', kim))
  assert.deepEqual(
    groups.map(({ name }) => name),
    ['vm-operators', 'vm-operators2'],
  )
  assert.deepEqual(asked, [])
})

test('a group may be mapped by name or by DN, and no name poses as a DN', () => {
  const dn = `CN=Ops,OU=Groups,${dc}`
  assert.deepEqual(externalNamesOf([{ name: 'VM-Ops', dn }]), ['vm-ops', 'cn=ops,ou=groups,dc=example,dc=org'])
  const posing = { name: 'cn=admins,ou=groups,dc=example,dc=org', dn: `cn=mine,ou=mine,${dc}` }
  assert.deepEqual(externalNamesOf([posing]), ['cn=mine,ou=mine,dc=example,dc=org'])
  assert.equal(externalGroupName('cn=Ops, OU=groups,dc=EXAMPLE,dc=org'), 'cn=ops,ou=groups,dc=example,dc=org')
  assert.equal(externalGroupName('Zoë'), 'zoë')
})
