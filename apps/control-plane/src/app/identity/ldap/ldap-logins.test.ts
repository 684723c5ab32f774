import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LdapConfig } from '@cryptvisor/control-plane-api'
import { CertificateAuthority } from '@cryptvisor/pki'
import { temporaryFolder } from '@cryptvisor/testkit'
import { Slapd, suffix } from '@cryptvisor/testkit/slapd'
import { Attribute, Change } from 'ldapts'
import {
  changing,
  directoryConfig,
  directoryEntries,
  openDirectoryPlane,
  passwordOf,
  people,
  person,
  readerPassword,
} from '../../../testing/directory-plane.ts'

const refused = { code: 'not-logged-in', message: /user name or password is wrong/ }
const failed = { code: 'identity-source-failed', message: /corp cannot be used now/ }

/** A directory of its own, and a plane that uses it. */
async function setUp(context: TestContext, more: Partial<LdapConfig> = {}, ldif = '') {
  const slapd = await Slapd.start(temporaryFolder(context), directoryEntries + ldif)
  context.after(() => slapd.stop())
  const setting = await openDirectoryPlane(directoryConfig(slapd, more))
  context.after(() => setting[Symbol.asyncDispose]())
  return { slapd, ...setting }
}

const replace = (type: string, ...values: string[]) =>
  new Change({ operation: 'replace', modification: new Attribute({ type, values }) })

test('a user of the directory logs in by its password, and is in the groups that theirs are mapped to', async (context) => {
  const { logIn, plane, eventsOf, source } = await setUp(context)
  const { user, token } = await logIn('Alice@Corp', passwordOf('alice'))
  assert.equal(user, 'alice@corp')
  assert.ok((await plane.bearers.authenticate(token)) !== null)
  assert.deepEqual((await plane.groups.list())[0]?.members, ['alice@corp'])
  await assert.rejects(logIn('alice@corp', 'another'), refused)
  await assert.rejects(logIn('nobody@corp', passwordOf('alice')), refused)
  await assert.rejects(logIn('alice@other', passwordOf('alice')), refused)
  await assert.rejects(logIn('alice', passwordOf('alice')), refused)
  const told = (await eventsOf('user.login-failed')).join('\n')
  assert.match(told, /alice@corp failed: the directory does not take the password/)
  assert.match(told, /by corp failed: there is no such user/)
  assert.equal((await source()).failed_at, null)
})

test('whom no group and nobody here gives anything does not come in, and leaves no user', async (context) => {
  const { logIn, plane, mappings } = await setUp(context)
  await assert.rejects(logIn('carol@corp', passwordOf('carol')), { code: 'not-logged-in', message: /map-group/ })
  assert.deepEqual(
    (await plane.users.list()).map(({ name }) => name),
    ['admin'],
  )
  // By its DN, however that is written; through memberUid.
  const external = `CN=Staff , OU=groups,${suffix.toUpperCase()}`
  await mappings.add('corp', { external, group: 'operators' }, plane.admin)
  assert.equal((await logIn('carol@corp', passwordOf('carol'))).user, 'carol@corp')
  await mappings.remove('corp', { external: `cn=staff,ou=groups,${suffix}`, group: 'operators' }, plane.admin)
  await assert.rejects(logIn('carol@corp', passwordOf('carol')), { code: 'not-logged-in', message: /map-group/ })
  assert.equal(
    (await plane.database.selectFrom('bearer').selectAll().where('user_name', '=', 'carol@corp').execute()).length,
    0,
  )
})

test('StartTLS does as well; another CA, another host name and plain LDAP from elsewhere do not', async (context) => {
  const { slapd, logIn, sources, plane, setPassword, source } = await setUp(context)
  const change = async (more: Partial<LdapConfig>) => {
    await sources.change('corp', { ldap: directoryConfig(slapd, more) }, plane.admin)
    await setPassword(readerPassword)
  }
  const alice = () => logIn('alice@corp', passwordOf('alice'))
  await change({ servers: [slapd.plainUrl] })
  assert.equal((await alice()).user, 'alice@corp')
  const { authority, privateKey } = await CertificateAuthority.create('Another CA', 2, () => new Date())
  privateKey[Symbol.dispose]()
  for (const servers of [[slapd.tlsUrl], [slapd.plainUrl]]) {
    await change({ servers, ca: authority.certificate })
    await assert.rejects(alice(), failed)
    assert.match((await source()).failure ?? '', /no CA that is trusted here/)
  }
  for (const url of [slapd.tlsUrl, slapd.plainUrl]) {
    await change({ servers: [url.replace('127.0.0.1', 'localhost')] })
    await assert.rejects(alice(), failed)
    assert.match((await source()).failure ?? '', /certificate is for another name/)
  }
  await change({ servers: [slapd.plainUrl], startTls: false })
  assert.equal((await alice()).user, 'alice@corp')
  const elsewhere = directoryConfig(slapd, { servers: ['ldap://dc1.example.org'], startTls: false })
  await assert.rejects(sources.change('corp', { ldap: elsewhere }, plane.admin), { field: 'ldap.servers' })
})

test('nothing in a name or a password is anything but that', async (context) => {
  const { logIn, plane, eventsOf } = await setUp(context)
  const password = passwordOf('alice')
  const names = [
    '*',
    'ali*',
    'alice)(uid=*',
    'alice)(|(uid=*',
    '*)(objectClass=*',
    'alice\\2a',
    'alice\0',
    ' alice',
    'alice ',
  ]
  names.push('', '(uid=alice)', `uid=alice,${people}`, 'ａlice', 'alice*', 'alice\n', 'alice@corp@corp')
  for (const name of names) await assert.rejects(logIn(`${name}@corp`, password, '192.0.2.9'), refused, name)
  // RFC 4513, 5.1.2: slapd would take a name without a password for nobody, and say yes.
  await assert.rejects(logIn('alice@corp', ''), refused)
  assert.deepEqual(await eventsOf('user.login'), ['admin logged in from 192.0.2.1'])
  for (const each of ['*', `${password}\0`, ` ${password}`, password.slice(0, -1)]) {
    await assert.rejects(logIn('bob@corp', each, '192.0.2.10'), refused)
  }
  assert.equal((await plane.users.list()).length, 1)
})

test('who is locked out here is not tried there, known or not; a second factor is asked for after the directory', async (context) => {
  const { slapd, logIn, plane, eventsOf } = await setUp(context)
  await logIn('alice@corp', passwordOf('alice'))
  for (const name of ['alice', 'bob']) {
    for (let tries = 0; tries < 5; tries++) await assert.rejects(logIn(`${name}@corp`, 'wrong'), refused)
    await assert.rejects(logIn(`${name}@corp`, passwordOf(name)), refused, 'even the right one')
    assert.equal((await logIn(`${name}@corp`, passwordOf(name), '198.51.100.1')).user, `${name}@corp`, 'elsewhere')
    plane.pass(60_000)
    assert.equal((await logIn(`${name}@corp`, passwordOf(name))).user, `${name}@corp`)
  }
  assert.match((await eventsOf('user.login-failed')).join(), /locked out from there/)
  const confirmed_at = plane.now()
  const bob = await plane.bearers.authenticate((await logIn('bob@corp', passwordOf('bob'))).token)
  assert.ok(bob !== null)
  await plane.secondFactors.enroll(bob)
  await plane.database.updateTable('second_factor').set({ confirmed_at }).execute()
  await assert.rejects(logIn('bob@corp', passwordOf('bob')), { code: 'second-factor-required' })
  await assert.rejects(logIn('bob@corp', 'wrong'), refused)
  await slapd.stop()
  await assert.rejects(logIn('bob@corp', passwordOf('bob')), failed)
})

test('an entry that is renamed keeps its user; another entry under the old name is no heir', async (context) => {
  const { slapd, logIn } = await setUp(context)
  await logIn('alice@corp', passwordOf('alice'))
  await changing(slapd, async (client) => {
    await client.modifyDN(`uid=alice,${people}`, 'uid=alicia')
    await client.modify(`cn=vm-operators,ou=groups,${suffix}`, [
      replace('member', `uid=alicia,${people}`, `uid=alice,${people}`),
    ])
    await client.add(`uid=alice,${people}`, {
      ...{ objectClass: 'inetOrgPerson', uid: 'alice', cn: 'Alice', sn: 'Other' },
      userPassword: 'the password of another alice',
    })
  })
  assert.equal((await logIn('alicia@corp', passwordOf('alice'))).user, 'alice@corp')
  await assert.rejects(logIn('alice@corp', 'the password of another alice'), {
    code: 'not-logged-in',
    message: /another account of corp/,
  })
})

test('accounts that are disabled, expired or not clearly one are refused, with the right password, too', async (context) => {
  const twice = person('dora') + person('dora').replace(`uid=dora,${people}`, `cn=dora,${people}`)
  const { slapd, logIn, eventsOf } = await setUp(context, {}, twice)
  await logIn('alice@corp', passwordOf('alice'))
  await changing(slapd, async (client) => {
    await client.modify(`uid=alice,${people}`, [replace('pwdAccountLockedTime', '000001010000Z')])
    await client.modify(`uid=bob,${people}`, [
      new Change({ operation: 'add', modification: new Attribute({ type: 'objectClass', values: ['shadowAccount'] }) }),
      replace('shadowExpire', '20000'),
    ])
  })
  for (const name of ['alice', 'bob', 'dora']) await assert.rejects(logIn(`${name}@corp`, passwordOf(name)), refused)
  const told = (await eventsOf('user.login-failed')).join('\n')
  assert.match(told, /is disabled there/)
  assert.match(told, /has expired there/)
  assert.match(told, /several entries have that name/)
})

test('servers are tried in order; where none answers, that is told once and our own users log in', async (context) => {
  const { slapd, logIn, plane, sources, setPassword, eventsOf, source } = await setUp(context)
  const servers = ['ldaps://127.0.0.1:1', slapd.tlsUrl]
  await sources.change('corp', { ldap: directoryConfig(slapd, { servers }) }, plane.admin)
  await setPassword(readerPassword)
  await logIn('alice@corp', passwordOf('alice'))
  assert.deepEqual(await eventsOf('identity-source.failed'), [])
  await slapd.stop()
  for (let tries = 0; tries < 3; tries++) await assert.rejects(logIn('alice@corp', passwordOf('alice')), failed)
  assert.equal((await eventsOf('identity-source.failed')).length, 1)
  assert.match((await source()).failure ?? '', /ECONNREFUSED/)
  await plane.logIn('admin')
  await slapd.restart()
  await logIn('alice@corp', passwordOf('alice'))
  assert.deepEqual(await eventsOf('identity-source.recovered'), ['corp can be used again'])
  assert.equal((await source()).failed_at, null)
})

test('a server that is killed in the middle of a login is left for the next one', async (context) => {
  const { slapd, logIn, sources, plane, setPassword } = await setUp(context)
  const folder = temporaryFolder(context)
  await using other = await Slapd.start(folder, directoryEntries)
  const servers = [slapd.tlsUrl, other.tlsUrl]
  await sources.change('corp', { ldap: directoryConfig(slapd, { servers, ca: slapd.ca + other.ca }) }, plane.admin)
  await setPassword(readerPassword)
  // It takes connections, and answers none: whatever was asked is open when it is killed.
  await slapd.pause(true)
  const login = logIn('bob@corp', passwordOf('bob'))
  await sleep(200)
  await slapd.stop()
  assert.equal((await login).user, 'bob@corp')
  await other.stop()
  await assert.rejects(logIn('bob@corp', passwordOf('bob')), failed)
})

test('what the control plane gets wrong about a directory is told to administrators, not to whoever logs in', async (context) => {
  const { slapd, logIn, plane, sources, setPassword, source } = await setUp(context)
  const cases: readonly (readonly [Partial<LdapConfig>, string | null, RegExp])[] = [
    [{}, 'not the password', /does not take the bind DN/],
    [{}, null, /bind password is not there/],
    [{ userBase: `ou=nowhere,${suffix}` }, readerPassword, /noSuchObject/],
    [{ groupBase: `ou=hidden,${suffix}` }, readerPassword, /noSuchObject/],
  ]
  for (const [more, password, cause] of cases) {
    await sources.change('corp', { ldap: directoryConfig(slapd, { ...more, nameAttribute: 'uid' }) }, plane.admin)
    await sources.change('corp', { ldap: directoryConfig(slapd, more) }, plane.admin)
    if (password !== null) await setPassword(password)
    await assert.rejects(logIn('alice@corp', passwordOf('alice')), (error: Error) => {
      assert.match(error.message, failed.message)
      assert.doesNotMatch(error.message, cause)
      return true
    })
    assert.match((await source()).failure ?? '', cause)
  }
})
