import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type {
  Event,
  IdentityRecheck,
  IdentitySource,
  IdentitySourceTest,
  Me,
  User,
} from '@cryptvisor/control-plane-api'
import { Slapd, suffix } from '@cryptvisor/testkit/slapd'
import { LabUnderTest, run } from './lab-under-test.ts'

const people = `ou=people,${suffix}`
const password = 'the password of alice'
const bindPassword = 'what the reader says to the directory'

const entries = `dn: ${suffix}
objectClass: domain
dc: example

dn: cn=reader,${suffix}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: ${bindPassword}

dn: ${people}
objectClass: organizationalUnit
ou: people

dn: uid=alice,${people}
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Example
userPassword: ${password}

dn: cn=vm-operators,${suffix}
objectClass: groupOfNames
cn: vm-operators
member: uid=alice,${people}
`

test('users of a directory log in once a group of theirs is mapped; where it is down, our own do', async (context) => {
  const lab = await LabUnderTest.start(context)
  const folder = lab.path('directory')
  mkdirSync(folder)
  await using slapd = await Slapd.start(folder, entries)
  const file = (name: string, content: string) => {
    writeFileSync(lab.path(name), content, { mode: 0o600 })
    return lab.path(name)
  }
  const bindFile = file('bind-password', bindPassword)
  const source = await lab.json<IdentitySource>(
    ...['identity-source', 'add', 'ldap', 'corp', '--preset', 'openldap', '--server', slapd.tlsUrl],
    ...[
      '--server-ca',
      file('directory-ca.pem', slapd.ca),
      '--bind-dn',
      `cn=reader,${suffix}`,
      '--bind-password-file',
      bindFile,
    ],
    ...['--user-base', people, '--group-base', suffix],
  )
  assert.deepEqual([source.kind, source.hasSecret], ['ldap', true])
  const { url, ca } = lab.description.controlPlane
  const config = ['--config', lab.path('alice.json')]
  const asAlice = ['--url', url, '--ca', ca, '--user', 'alice@corp', '--password-file', file('password', password)]
  const denied = await lab.cryptvisor('login', ...asAlice, ...config)
  assert.notEqual(denied.exitCode, 0)
  assert.match(denied.stderr, /map-group/)
  const answer = await lab.cryptvisor('identity-source', 'test', 'corp', '--user', 'alice', '--json')
  assert.equal(answer.exitCode, 1)
  // What the command prints is of this schema.
  const tried = JSON.parse(answer.stdout) as IdentitySourceTest
  assert.deepEqual(
    [tried.user?.dn, tried.user?.groups.map(({ name }) => name), tried.user?.canLogIn],
    [`uid=alice,${people}`, ['vm-operators'], false],
  )

  await lab.json('group', 'add', 'operators')
  await lab.json('permission', 'set', '/', '--group', 'operators', '--role', 'ReadOnly')
  await lab.json('identity-source', 'map-group', 'corp', 'vm-operators', 'operators')
  assert.equal((await lab.json<IdentitySourceTest>('identity-source', 'test', 'corp', '--user', 'alice')).works, true)
  await lab.json('login', ...asAlice, ...config)
  const me = await lab.json<Me>('whoami', ...config)
  assert.deepEqual([me.name, me.source, me.groups], ['alice@corp', 'corp', ['operators']])
  await lab.json('vm', 'list', ...config)
  assert.equal((await lab.json<User[]>('user', 'list')).find(({ name }) => name === 'alice@corp')?.source, 'corp')
  assert.deepEqual(await lab.json<IdentityRecheck>('identity-source', 'recheck', 'corp'), {
    checkedCount: 1,
    ended: [],
  })

  await slapd.stop()
  const gone = await lab.cryptvisor('login', ...asAlice, '--config', lab.path('again.json'))
  assert.notEqual(gone.exitCode, 0)
  assert.match(gone.stderr, /corp cannot be used now[\s\S]*users of the control plane itself can log in/)
  assert.match((await lab.json<IdentitySource>('identity-source', 'show', 'corp')).failing?.text ?? '', /ECONNREFUSED/)
  const failures = await lab.json<Event[]>('event', 'list', '--type', 'identity-source.failed')
  assert.equal(failures.length, 1)
  await lab.json('whoami', ...config)
  await slapd.restart()
  await lab.json('identity-source', 'unmap-group', 'corp', 'VM-Operators', 'operators')
  const { ended } = await lab.json<IdentityRecheck>('identity-source', 'recheck', 'corp')
  assert.deepEqual(
    ended.map(({ user }) => user),
    ['alice@corp'],
  )
  assert.notEqual((await lab.cryptvisor('whoami', ...config)).exitCode, 0)
  const places = ['--exclude=bind-password', '--exclude-dir=directory']
  assert.equal((await run('grep', ['-rqF', ...places, bindPassword, lab.folder])).exitCode, 1)
  assert.equal(
    (await run('grep', ['-rqF', '--exclude=password', '--exclude-dir=directory', password, lab.folder])).exitCode,
    1,
  )
})
