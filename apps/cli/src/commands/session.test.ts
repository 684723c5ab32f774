import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { RestError } from '@cryptvisor/rest'
import { openDesk } from '../testing/desk.ts'

test('login keeps the session in a file that only its owner can read', async (context) => {
  const { desk, fake } = await openDesk(context)
  const ca = desk.file('ca.pem', fake.ca)
  const config = join(desk.folder, 'new', 'deep', 'config.json')
  const { exitCode, stdout, stderr } = await desk.run(
    ['login', '--url', fake.url, '--ca', ca, '--user', 'kim', '--password-stdin', '--config', config, '--json'],
    { stdin: `${fake.password}\n` },
  )
  assert.equal(exitCode, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), { url: fake.url, user: 'kim', expiresAt: '2099-01-01T00:00:00.000Z' })
  assert.equal(statSync(config).mode & 0o777, 0o600)
  assert.equal(statSync(join(desk.folder, 'new')).mode & 0o777, 0o700)
  const text = readFileSync(config, 'utf8')
  assert.ok(!text.includes(fake.password))
  assert.deepEqual(JSON.parse(text), {
    url: fake.url,
    ca: fake.ca,
    user: 'kim',
    token: 'session-token',
    expiresAt: '2099-01-01T00:00:00.000Z',
  })
  assert.equal((await desk.run(['vm', 'list', '--config', config])).exitCode, 0)
})

test('login again needs neither URL, CA nor user', async (context) => {
  const { desk, fake } = await openDesk(context)
  desk.writeConfig({ url: fake.url, ca: fake.ca, user: 'admin' })
  const file = desk.file('password', fake.password)
  const { exitCode, stdout } = await desk.run(['login', '--password-file', file])
  assert.equal(exitCode, 0)
  assert.match(stdout, /^logged in to https:\S+ as admin until \d/)
  assert.deepEqual(fake.changes, [{ call: 'POST /api/v1/login', body: { user: 'admin', password: fake.password } }])
})

test('a wrong password is refused with 4, and no session is kept', async (context) => {
  const { desk, fake } = await openDesk(context)
  const before = readFileSync(desk.config, 'utf8')
  const { exitCode, stdout, stderr } = await desk.run(['login', '--password-stdin'], { stdin: 'not the password' })
  assert.equal(exitCode, 4)
  assert.match(stderr, /^cryptvisor: user or password is wrong\n {2}check the user and the password/)
  assert.ok(!`${stdout}${stderr}`.includes('not the password'))
  assert.equal(readFileSync(desk.config, 'utf8'), before)
  assert.equal(fake.changes.length, 1)
})

test('a password that cannot be one is not sent', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const stdin of ['', '\n', 'two\nlines\n', 'x'.repeat(5000), 'nul\0byte']) {
    const { exitCode, stderr } = await desk.run(['login', '--password-stdin'], { stdin })
    assert.equal(exitCode, 2)
    assert.match(stderr, /a password is one line of text/)
  }
  const asked = await desk.run(['login'])
  assert.equal(asked.exitCode, 2)
  assert.match(asked.stderr, /there is no terminal.*\n.*--password-stdin or --password-file FILE\n/)
  const missing = await desk.run(['login', '--password-file', '/no/such/file'])
  assert.match(missing.stderr, /--password-file: \/no\/such\/file cannot be read: ENOENT/)
  assert.deepEqual(fake.calls, [])
})

test('user add and user change send the password that was read', async (context) => {
  const { desk, fake } = await openDesk(context)
  const password = 'a new long password'
  await desk.run(['user', 'add', 'kim', '--role', 'ReadOnly', '--password-stdin'], { stdin: `${password}\r\n` })
  await desk.run(['user', 'change', 'kim', '--password-file', desk.file('password', `${password}\n`)])
  assert.deepEqual(fake.changes, [
    { call: 'POST /api/v1/users', body: { name: 'kim', role: 'ReadOnly', password } },
    { call: 'PATCH /api/v1/users/kim', body: { password } },
  ])
})

test('logout ends the session here and there; URL and CA stay known', async (context) => {
  const { desk, fake } = await openDesk(context)
  assert.equal((await desk.run(['logout'])).exitCode, 0)
  assert.ok(!fake.tokens.has('good-token'))
  assert.deepEqual(JSON.parse(readFileSync(desk.config, 'utf8')), { url: fake.url, ca: fake.ca, user: 'admin' })
  assert.equal((await desk.run(['logout'])).exitCode, 4)
})

test('logout forgets the session even when the control plane cannot be told, and says so', async (context) => {
  const { desk, fake } = await openDesk(context)
  await fake[Symbol.asyncDispose]()
  const { exitCode, stderr } = await desk.run(['logout'])
  assert.equal(exitCode, 3)
  assert.match(stderr, /could not be told that the session has ended; it is forgotten here\n/)
  assert.ok(!readFileSync(desk.config, 'utf8').includes('good-token'))
})

test('a configuration that others can read, or of another shape, is not used', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const mode of [0o640, 0o604, 0o660, 0o610]) {
    chmodSync(desk.config, mode)
    const { exitCode, stderr } = await desk.run(['vm', 'list'])
    assert.equal(exitCode, 2)
    assert.match(stderr, /can be read by others, so it is not used\n {2}close it: chmod 600 /)
    assert.ok(!stderr.includes('good-token'))
  }
  chmodSync(desk.config, 0o600)
  for (const [value, reason] of [
    [{ url: fake.url }, /ca is missing/],
    [{ url: fake.url, ca: fake.ca, token: 7 }, /token is not text/],
    [{ url: fake.url, ca: fake.ca, tokken: 'x' }, /there is no setting "tokken"/],
    [[], /it is not one object/],
  ] as const) {
    desk.writeConfig(value)
    const { exitCode, stderr } = await desk.run(['vm', 'list'])
    assert.equal(exitCode, 2)
    assert.match(stderr, reason)
  }
  assert.deepEqual(fake.calls, [])
})

test('the session is shown to its own control plane only', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { desk: otherDesk, fake: other } = await openDesk(context)
  const ca = otherDesk.file('ca.pem', other.ca)
  const { exitCode, stderr } = await desk.run(['vm', 'list', '--url', other.url, '--ca', ca])
  assert.equal(exitCode, 4)
  assert.match(stderr, /not logged in to https:/)
  assert.deepEqual([...fake.calls, ...other.calls], [])
})

test('an API token comes from a file, by option or environment, and goes before the session', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.tokens.clear()
  fake.tokens.add('api-token-value')
  const file = desk.file('token', 'api-token-value\n')
  assert.equal((await desk.run(['vm', 'list'])).exitCode, 4)
  assert.equal((await desk.run(['vm', 'list', '--token-file', file])).exitCode, 0)
  assert.equal((await desk.run(['vm', 'list'], { environment: { CRYPTVISOR_TOKEN_FILE: file } })).exitCode, 0)
  const ca = desk.file('ca.pem', fake.ca)
  const withoutConfig = ['--config', '/no/such/file', '--url', fake.url, '--ca', ca, '--token-file', file]
  assert.equal((await desk.run(['vm', 'list', ...withoutConfig])).exitCode, 0)
  for (const [path, reason] of [
    [desk.file('open', 'api-token-value', 0o644), /can be read by others/],
    [desk.file('two', 'one\ntwo'), /does not hold one token and nothing else/],
    [desk.file('empty', ''), /does not hold one token and nothing else/],
    [desk.file('huge', 'x'.repeat(300_000)), /has more than 262144 bytes/],
    ['/no/such/file', /does not exist/],
    [desk.folder, /is neither a file nor a pipe/],
  ] as const) {
    const { exitCode, stderr } = await desk.run(['vm', 'list', '--token-file', path])
    assert.equal(exitCode, 2)
    assert.match(stderr, reason)
  }
})

test('the configuration lies where XDG says', async (context) => {
  const { desk, fake } = await openDesk(context)
  const ca = desk.file('ca.pem', fake.ca)
  const login = ['login', '--url', fake.url, '--ca', ca, '--user', 'kim', '--password-stdin']
  const at = async (environment: Readonly<Record<string, string>>) => {
    const { stderr } = await desk.run(login, {
      stdin: fake.password,
      environment: { CRYPTVISOR_CONFIG: '', ...environment },
    })
    assert.equal(stderr, '')
  }
  await at({})
  assert.ok(existsSync(join(desk.folder, '.config', 'cryptvisor', 'config.json')))
  await at({ XDG_CONFIG_HOME: join(desk.folder, 'xdg') })
  assert.ok(existsSync(join(desk.folder, 'xdg', 'cryptvisor', 'config.json')))
})

test('a login that the service cannot answer keeps its own code', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.refusals.set('POST /api/v1/login', new RestError(429, 'too-many-logins', 'wait a minute'))
  const { exitCode, stderr } = await desk.run(['login', '--password-stdin'], { stdin: fake.password })
  assert.deepEqual([exitCode, stderr], [1, 'cryptvisor: wait a minute\n'])
})
