import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Desk, openDesk } from '../testing/desk.ts'
import { fakeCode, fakeDirectory } from '../testing/fake-identity-routes.ts'

test('identity-source: each command makes its call and says what came of it', async (context) => {
  const { desk, fake } = await openDesk(context)
  const secretFile = desk.file('secret', 'client secret')
  const all = '/api/v1/identity-sources'
  const corp = `${all}/corp`
  const rows = [
    [['list'], [`GET ${all}`], /corp +oidc +on +2 +https:\/\/login\.example\.org/],
    [
      ['show', 'corp'],
      [`GET ${corp}`],
      /client secret: +there[\s\S]*vm-operators is operators\n.*vm-readers is auditors/,
    ],
    [['secret', 'corp', '--secret-file', secretFile], [`PUT ${corp}/secret`], /corp has a new secret/],
    [['disable', 'corp'], [`PATCH ${corp}`], /corp is switched off/],
    [['enable', 'corp'], [`PATCH ${corp}`], /corp is switched on/],
    [['confirm-days', 'corp', '7'], [`PATCH ${corp}`], /corp work for 7 days/],
    [['map-group', 'corp', 'staff', 'users'], [`PUT ${corp}/groups`], /who is in staff of corp is in group users/],
    [['unmap-group', 'corp', 'staff', 'users'], [`POST ${corp}/groups/remove`], /staff of corp is not mapped to users/],
    [['test', 'corp'], [`POST ${corp}/test`], /ldaps:\/\/dc1\.example\.org +yes +TLS/],
    [
      ['test', 'corp', '--user', 'lee'],
      [`POST ${corp}/test`],
      /name here: +lee@corp[\s\S]*staff \(cn=staff,.*\), here operators[\s\S]*can log in: +yes/,
    ],
    [['recheck', 'corp'], [`POST ${corp}/recheck`], /kim@corp +is disabled/],
    [['remove', 'corp'], [`DELETE ${corp}`], /corp/],
  ] as const
  for (const [args, calls, said] of rows) {
    fake.calls.length = 0
    const { exitCode, stdout, stderr } = await desk.run(['identity-source', ...args])
    assert.equal(exitCode, 0, stderr)
    assert.match(stdout, said)
    assert.deepEqual(
      fake.calls.map(({ call }) => call),
      calls,
    )
  }
  assert.deepEqual(fake.secrets, ['client secret'])
  const gone = await desk.run(['identity-source', 'test', 'corp', '--user', 'gone'])
  assert.equal(gone.exitCode, 1)
  assert.match(gone.stdout, /ldaps:.* no /)
  assert.match(gone.stderr, /corp does not work for gone: ldaps:/)
})

test('identity-source add oidc: what is left out is not sent, the secret goes as bytes of its own', async (context) => {
  const { desk, fake } = await openDesk(context)
  const secretFile = desk.file('secret', 'client secret')
  const add = (...more: string[]) =>
    desk.run(['identity-source', 'add', 'oidc', 'corp', '--issuer', 'https://login.example.org', ...more])
  const { exitCode, stderr } = await add('--client-id', 'cryptvisor', '--secret-file', secretFile)
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /cryptvisor login --source corp/)
  const oidc = { issuer: 'https://login.example.org', clientId: 'cryptvisor' }
  assert.deepEqual(fake.changes[0], { call: 'POST /api/v1/identity-sources', body: { name: 'corp', oidc } })
  assert.deepEqual(fake.secrets, ['client secret'])
  fake.calls.length = 0
  const more = ['--scope', 'openid', '--scope', 'roles', '--name-claim', 'upn', '--groups-claim', 'roles']
  assert.equal((await add('--client-id', 'c', '--public-client', ...more)).exitCode, 0)
  const given = { ...oidc, clientId: 'c', scopes: ['openid', 'roles'], nameClaim: 'upn', groupsClaim: 'roles' }
  assert.deepEqual(
    fake.calls.map(({ body }) => body),
    [{ name: 'corp', oidc: given }],
  )
  fake.calls.length = 0
  assert.equal((await add('--client-id', 'c', '--public-client', '--secret-file', secretFile)).exitCode, 2)
  const asked = await add('--client-id', 'c')
  assert.notEqual(asked.exitCode, 0)
  assert.match(asked.stderr, /--secret-file FILE/)
  assert.equal((await add('--client-id', 'c', '--public-client', '--server-ca', '/no/such/file')).exitCode, 2)
  assert.deepEqual(fake.calls, [])
})

test('identity-source set-oidc: what is left out stays, and the secret is given again', async (context) => {
  const { desk, fake } = await openDesk(context)
  const secretFile = desk.file('secret', 'another secret')
  const set = (...more: string[]) => desk.run(['identity-source', 'set-oidc', 'corp', ...more])
  const { exitCode, stderr } = await set('--groups-claim', 'roles', '--secret-file', secretFile)
  assert.equal(exitCode, 0, stderr)
  const before = { issuer: 'https://login.example.org', clientId: 'cryptvisor' }
  assert.deepEqual(fake.changes[0]?.body, { oidc: { ...before, groupsClaim: 'roles' } })
  assert.deepEqual(fake.secrets, ['another secret'])
  const { stdout } = await set('--client-id', 'c-2', '--public-client')
  assert.match(stdout, /client ID: +c-2[\s\S]*client secret: +none/)
})

test('identity-source add ldap: what is left out is not sent, the bind password goes as bytes of its own', async (context) => {
  const { desk, fake } = await openDesk(context)
  const passwordFile = desk.file('password', 'bind password')
  const base = [
    '--preset',
    'ad',
    '--server',
    'ldaps://dc1',
    '--server',
    'ldaps://dc2',
    '--user-base',
    'dc=example,dc=org',
  ]
  const ldap = { preset: 'ad', servers: ['ldaps://dc1', 'ldaps://dc2'], userBase: 'dc=example,dc=org' }
  const run = (verb: readonly string[], ...more: string[]) => desk.run(['identity-source', ...verb, ...base, ...more])
  const add = ['add', 'ldap', 'corp']
  const bound = ['--bind-dn', 'cn=reader,dc=example,dc=org']
  const { exitCode, stderr } = await run(add, ...bound, '--bind-password-file', passwordFile)
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /identity-source test corp --user NAME/)
  const withDn = { ...ldap, bindDn: 'cn=reader,dc=example,dc=org' }
  assert.deepEqual(fake.changes[0], { call: 'POST /api/v1/identity-sources', body: { name: 'corp', ldap: withDn } })
  assert.deepEqual(fake.secrets, ['bind password'])
  fake.calls.length = 0
  const more = [
    '--anonymous',
    '--no-start-tls',
    '--group-base',
    'ou=g,dc=x',
    '--user-filter',
    '(a=b)',
    '--name-attribute',
    'cn',
  ]
  assert.equal((await run(add, ...more, '--group-filter', '(c=d)', '--group-name-attribute', 'ou')).exitCode, 0)
  const other = { startTls: false, anonymous: true, groupBase: 'ou=g,dc=x', userFilter: '(a=b)', groupFilter: '(c=d)' }
  assert.deepEqual(
    fake.calls.map(({ body }) => body),
    [{ name: 'corp', ldap: { ...ldap, ...other, nameAttribute: 'cn', groupNameAttribute: 'ou' } }],
  )
  fake.calls.length = 0
  for (const wrong of [
    [],
    ['--bind-dn', 'dc=x', '--server-ca', '/no/such/file'],
    ['--preset', 'other', '--anonymous'],
  ]) {
    assert.equal((await run(add, ...wrong)).exitCode, 2, wrong.join(' '))
  }
  const asked = await run(add, ...bound)
  assert.match(asked.stderr, /--bind-password-file FILE/)
  assert.deepEqual(fake.calls, [])
})

test('identity-source set-ldap: what is left out stays, and the bind password is given again', async (context) => {
  const { desk, fake } = await openDesk(context)
  const passwordFile = desk.file('password', 'bind password')
  const set = (...more: string[]) => desk.run(['identity-source', 'set-ldap', 'directory', ...more])
  const password = ['--bind-password-file', passwordFile]
  const { exitCode, stderr } = await set('--server', 'ldaps://dc3', '--group-base', 'ou=g,dc=x', ...password)
  assert.equal(exitCode, 0, stderr)
  const changed = { ...fakeDirectory, servers: ['ldaps://dc3'], groupBase: 'ou=g,dc=x' }
  assert.deepEqual(fake.changes[0]?.body, { ldap: changed })
  assert.deepEqual(fake.secrets, ['bind password'])
  const { stdout } = await set('--anonymous')
  assert.match(stdout, /bind DN: +none: searches as nobody/)
  const { bindDn: _, ...unbound } = fakeDirectory
  assert.deepEqual(fake.changes.at(-1)?.body, { ldap: { ...unbound, anonymous: true } })
  assert.equal((await desk.run(['identity-source', 'set-ldap', 'corp', '--anonymous'])).exitCode, 2)
  assert.equal((await desk.run(['identity-source', 'set-oidc', 'directory', '--public-client'])).exitCode, 2)
})

/** Runs `login --source corp`, and plays the browser, which comes back with `query`. */
async function logIn(desk: Desk, query: string, ...more: readonly string[]) {
  let said = ''
  let page: Promise<string> | null = null
  const onOutput = (text: string) => {
    said += text
    const redirectUri = /redirect_uri=(\S+)\n/.exec(said)?.[1]
    if (redirectUri === undefined || page !== null) return
    const back = decodeURIComponent(redirectUri)
    // A browser asks for its icon, too: that is no answer.
    page = fetch(new URL('/favicon.ico', back)).then(async (icon) => {
      assert.equal(icon.status, 404)
      return (await fetch(back + query)).text()
    })
  }
  const result = await desk.run(['login', '--source', 'corp', ...more], { onOutput })
  return { ...result, page: await (page ?? '') }
}

test('login --source: the browser comes back to this machine, and the session is kept', async (context) => {
  const { desk, fake } = await openDesk(context)
  const codeFile = desk.file('code', fakeCode)
  const good = await logIn(desk, '?code=good&state=s', '--code-file', codeFile)
  assert.equal(good.exitCode, 0, good.stderr)
  assert.match(good.stdout, /logged in to .* as kim@corp until/)
  assert.match(good.page, /You can close this window/)
  assert.equal(JSON.parse(readFileSync(desk.config, 'utf8')).user, 'kim@corp')
  assert.deepEqual(fake.calls.at(-1)?.body, { attempt: 'attempt-1', query: '?code=good&state=s', code: fakeCode })
  const other = await logIn(desk, '?code=good&state=of-another', '--code-file', codeFile)
  assert.equal(other.exitCode, 4)
  assert.match(other.stderr, /another login[\s\S]*run the command again/)
  const both = await desk.run(['login', '--source', 'corp', '--user', 'kim'])
  assert.equal(both.exitCode, 2)
})

test('login --source --device: shows an address and a code, and asks until somebody has logged in there', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { exitCode, stdout, stderr } = await desk.run(['login', '--source', 'corp', '--device'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /https:\/\/login\.example\.org\/device\ncode: WXYZ-1234\n/)
  assert.match(stdout, /as kim@corp until/)
  const finish = 'POST /api/v1/login/device/finish'
  assert.deepEqual(
    fake.calls.map(({ call }) => call),
    ['POST /api/v1/login/device', finish, finish],
  )
  const { exitCode: usage, stderr: said } = await desk.run(['login', '--device'])
  assert.equal(usage, 2)
  assert.match(said, /--source NAME/)
})
