import assert from 'node:assert/strict'
import { test } from 'node:test'
import { privileges } from '@cryptvisor/control-plane-api'
import { openControlPlaneDatabase } from '../database/open.ts'
import { testSecondFactors } from '../testing/test-second-factors.ts'
import { Bearers, type Caller } from './bearers.ts'
import { eventsPerMinuteMax } from './event-allowance.ts'
import { EventLog } from './events.ts'
import { addressesPerUserMax, failuresFree, lockedUntil } from './lock-out.ts'
import { Logins } from './login.ts'
import { LoginFailures } from './login-failures.ts'
import { Roles } from './roles.ts'
import { sessionMs, sessionsPerUserMax } from './session-start.ts'
import { Tokens } from './tokens.ts'
import { turnsPerClientMax, turnsWaitingMax } from './turns.ts'
import { Users } from './users.ts'

const password = 'correct horse battery'
const home = '192.0.2.1'

async function setUp() {
  const database = await openControlPlaneDatabase(':memory:')
  let now = Date.parse('2026-11-24T12:00:00Z')
  const clock = () => now
  const events = new EventLog(database, clock)
  const bearers = new Bearers(database, clock)
  const users = new Users(database, events, clock)
  const secondFactors = await testSecondFactors(database, events, clock)
  const logins = new Logins(database, events, bearers, secondFactors, new LoginFailures(events, clock), clock)
  await users.setAdministrator('admin', password)
  const callerOf = async (token: string): Promise<Caller> => {
    const caller = await bearers.authenticate(token)
    assert.ok(caller !== null)
    return caller
  }
  return {
    database,
    events,
    bearers,
    users,
    logins,
    roles: new Roles(database, events, clock),
    tokens: new Tokens(database, events, bearers, clock),
    callerOf,
    logIn: async (name = 'admin') => callerOf((await logins.logIn(name, password, home)).token),
    pass: (ms: number) => {
      now += ms
    },
    [Symbol.asyncDispose]: () => database.destroy(),
  }
}

test('a login gives a session with the role’s privileges, until it ends or is ended', async () => {
  await using plane = await setUp()
  const { token, expiresAt } = await plane.logins.logIn('admin', password, home)
  assert.equal(expiresAt, '2026-11-25T00:00:00.000Z')
  const caller = await plane.callerOf(token)
  assert.deepEqual([caller.name, caller.role, [...caller.privileges]], ['admin', 'Admin', [...privileges]])
  await plane.logins.logOut(caller)
  assert.equal(await plane.bearers.authenticate(token), null)
  const second = await plane.logins.logIn('admin', password, home)
  plane.pass(sessionMs)
  assert.equal(await plane.bearers.authenticate(second.token), null)
  for (const wrong of ['', 'cvs_', `${second.token}x`, second.token.toLowerCase()]) {
    assert.equal(await plane.bearers.authenticate(wrong), null)
  }
})

test('wrong password, unknown and locked user get one answer; the lock ends and grows', async () => {
  await using plane = await setUp()
  const refused = async (name: string, tried: string) => {
    const texts: string[] = []
    await assert.rejects(plane.logins.logIn(name, tried, home), (error: Error & { code: string }) => {
      texts.push(error.message)
      return error.code === 'not-logged-in'
    })
    return texts[0]
  }
  const text = await refused('nobody', password)
  for (let count = 1; count < failuresFree; count++) assert.equal(await refused('admin', 'wrong'), text)
  assert.equal((await plane.logIn()).name, 'admin')
  for (let count = 1; count <= failuresFree; count++) assert.equal(await refused('admin', 'wrong'), text)
  assert.equal(await refused('admin', password), text)
  assert.equal((await plane.users.list())[0]?.lockedUntil, '2026-11-24T12:00:30.000Z')
  plane.pass(30_000)
  assert.equal(await refused('admin', 'wrong'), text)
  plane.pass(30_000)
  assert.equal(await refused('admin', password), text)
  plane.pass(30_000)
  assert.equal((await plane.logIn()).name, 'admin')
  const failures = await plane.events.list({ type: 'user.login-failed', limit: 100 })
  assert.ok(failures.every((event) => !event.text.includes('nobody')))
})

test('the delay doubles up to an hour', () => {
  assert.equal(lockedUntil(failuresFree - 1, 0), null)
  assert.deepEqual(
    [0, 1, 2, 6, 7, 100, 10_000].map((more) => lockedUntil(failuresFree + more, 1000)),
    [31_000, 61_000, 121_000, 1_921_000, 3_601_000, 3_601_000, 3_601_000],
  )
})

/** How logins ended: in, or the error's code; and how often. */
function outcomes(settled: readonly PromiseSettledResult<unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const one of settled) {
    // Nothing else is thrown.
    const outcome = one.status === 'fulfilled' ? 'in' : (one.reason as { code: string }).code
    counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  return counts
}

test('many guesses at once are counted one by one, and beyond a limit refused', async () => {
  await using plane = await setUp()
  const guess = (address: string) => plane.logins.logIn('admin', 'guess', address)
  const guesses = await Promise.allSettled(Array.from({ length: turnsPerClientMax + 3 }, () => guess(home)))
  assert.deepEqual(outcomes(guesses), { 'not-logged-in': turnsPerClientMax, 'too-busy': 3 })
  const row = await plane.database.selectFrom('login_failure').selectAll().executeTakeFirstOrThrow()
  assert.deepEqual([row.user_name, row.address, row.failed_count], ['admin', home, failuresFree])
  const fromAll = Array.from({ length: turnsWaitingMax + 3 }, (_, index) => guess(`198.51.100.${index}`))
  assert.deepEqual(outcomes(await Promise.allSettled(fromAll)), { 'not-logged-in': turnsWaitingMax, 'too-busy': 3 })
})

test('who guesses an administrator’s password locks out their own address, and no other', async () => {
  await using plane = await setUp()
  const from = (address: string, tried: string) => plane.logins.logIn('admin', tried, address)
  for (let count = 0; count < failuresFree; count++) {
    await assert.rejects(from(`2001:db8:0:1::${count}`, 'wrong'), { code: 'not-logged-in' })
  }
  await assert.rejects(from('2001:db8:0:1::ffff', password), { code: 'not-logged-in' })
  assert.equal((await from('2001:db8:0:2::1', password)).user, 'admin')
  assert.equal((await plane.users.list())[0]?.lockedUntil, '2026-11-24T12:00:30.000Z')
  const [failure] = await plane.events.list({ type: 'user.login-failed', limit: 1 })
  assert.match(failure?.text ?? '', /^a login as admin failed \(from 2001:db8:0:1::/)
  const admin = await plane.logIn()
  await plane.users.change('admin', { password: 'another long password' }, admin)
  assert.equal((await from('2001:db8:0:1::1', 'another long password')).user, 'admin')
})

test('failures are kept for so many addresses', async () => {
  await using plane = await setUp()
  const rows = Array.from({ length: addressesPerUserMax }, (_, index) => ({
    user_name: 'admin',
    address: `address ${index}`,
    failed_count: 1,
    failed_at: index,
    locked_until: null,
  }))
  await plane.database.insertInto('login_failure').values(rows).execute()
  await assert.rejects(plane.logins.logIn('admin', 'wrong', home), { code: 'not-logged-in' })
  const kept = await plane.database.selectFrom('login_failure').select('address').execute()
  const addresses = kept.map(({ address }) => address)
  assert.equal(addresses.length, addressesPerUserMax)
  assert.ok(addresses.includes(home) && !addresses.includes('address 0') && addresses.includes('address 1'))
})

test('strangers cannot fill the list of events, and nothing is hidden from it', async () => {
  await using plane = await setUp()
  const failures = () => plane.events.list({ type: 'user.login-failed', limit: 1000 })
  for (let count = 0; count < eventsPerMinuteMax + 2; count++) {
    await assert.rejects(plane.logins.logIn('nobody', 'x', home), { code: 'not-logged-in' })
  }
  assert.equal((await failures()).length, eventsPerMinuteMax)
  for (let count = 0; count < failuresFree; count++) {
    await assert.rejects(plane.logins.logIn('admin', 'x', home), { code: 'not-logged-in' })
  }
  const [lock, ...others] = await failures()
  assert.equal(others.length, eventsPerMinuteMax)
  assert.match(lock?.text ?? '', /admin failed .*refused until .*; 6 more were not recorded one by one/)
})

test('names that differ in case alone are one name', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await assert.rejects(plane.users.create({ name: 'Admin', password, role: 'ReadOnly' }, admin), {
    code: 'already-exists',
    field: 'name',
  })
  await assert.rejects(plane.logins.logIn('ADMIN', password, home), { code: 'not-logged-in' })
})

test('an administrator who is recovered on the machine starts without sessions, tokens and locks', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await plane.users.create({ name: 'reader', password, role: 'ReadOnly' }, admin)
  const { token } = await plane.tokens.create({ name: 'ci' }, await plane.logIn('reader'))
  for (let count = 0; count < failuresFree; count++) {
    await assert.rejects(plane.logins.logIn('reader', 'wrong', home), { code: 'not-logged-in' })
  }
  await plane.users.setAdministrator('reader', password)
  assert.equal(await plane.bearers.authenticate(token), null)
  assert.equal((await plane.logIn('reader')).role, 'Admin')
})

test('a user has a limited number of sessions, and the oldest ends', async () => {
  await using plane = await setUp()
  const { token } = await plane.logins.logIn('admin', password, home)
  const rows = Array.from({ length: sessionsPerUserMax - 1 }, (_, index) => ({
    id: `ffffffff-${index}`,
    token_sha256: `${index}`,
    kind: 'session' as const,
    name: 'login',
    user_name: 'admin',
    created_at: 0,
    expires_at: Number.MAX_SAFE_INTEGER,
    last_used_at: null,
    address: null,
  }))
  await plane.database.insertInto('bearer').values(rows).execute()
  assert.ok((await plane.bearers.authenticate(token)) !== null)
  await plane.logins.logIn('admin', password, home)
  assert.equal(await plane.bearers.authenticate(token), null)
})

test('nobody gives away what they do not have, nor takes over who has it', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await plane.users.create({ name: 'ops', password, role: 'NoCryptoAdmin' }, admin)
  const ops = await plane.logIn('ops')
  assert.ok(ops.privileges.has('Authorization.ModifyPermissions'))
  const noPrivilege = { code: 'no-privilege', message: /Cryptographer\./ }
  await assert.rejects(plane.users.create({ name: 'x', password, role: 'Admin' }, ops), noPrivilege)
  await assert.rejects(plane.users.change('ops', { role: 'Admin' }, ops), noPrivilege)
  await assert.rejects(plane.users.change('admin', { password: 'i take this over' }, ops), noPrivilege)
  await assert.rejects(plane.users.remove('admin', ops), noPrivilege)
  await assert.rejects(plane.roles.create({ name: 'x', privileges: ['Cryptographer.Decrypt'] }, ops), noPrivilege)
  await plane.users.create({ name: 'reader', password, role: 'ReadOnly' }, ops)
  assert.equal((await plane.users.change('reader', { role: 'NoCryptoAdmin' }, ops)).role, 'NoCryptoAdmin')
})

test('the last administrator stays', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await assert.rejects(plane.users.remove('admin', admin), { code: 'in-use' })
  await assert.rejects(plane.users.change('admin', { role: 'ReadOnly' }, admin), { code: 'in-use' })
  await plane.users.create({ name: 'second', password, role: 'Admin' }, admin)
  assert.equal((await plane.users.change('admin', { role: 'ReadOnly' }, admin)).role, 'ReadOnly')
  await assert.rejects(plane.users.remove('second', await plane.logIn('second')), { code: 'in-use' })
})

test('a new role counts at once, a new password ends sessions and keeps API tokens', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await plane.users.create({ name: 'user', password, role: 'NoCryptoAdmin' }, admin)
  const session = (await plane.logins.logIn('user', password, home)).token
  const { token } = await plane.tokens.create({ name: 'ci' }, await plane.callerOf(session))
  await plane.users.change('user', { role: 'ReadOnly' }, admin)
  assert.deepEqual([...(await plane.callerOf(session)).privileges], ['System.Read'])
  assert.deepEqual([...(await plane.callerOf(token)).privileges], ['System.Read'])
  await plane.users.change('user', { password: 'another long password' }, admin)
  assert.equal(await plane.bearers.authenticate(session), null)
  assert.equal((await plane.callerOf(token)).name, 'user')
  await plane.users.remove('user', admin)
  assert.equal(await plane.bearers.authenticate(token), null)
})

test('API tokens are one’s own, expire, and make no other tokens', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await plane.users.create({ name: 'reader', password, role: 'ReadOnly' }, admin)
  const reader = await plane.logIn('reader')
  const mine = await plane.tokens.create({ name: 'ci', validDays: 1 }, reader)
  assert.equal(mine.info.expiresAt, '2026-11-25T12:00:00.000Z')
  assert.equal(mine.info.lastUsedAt, null)
  await assert.rejects(plane.tokens.create({ name: 'ci' }, reader), { code: 'already-exists', field: 'name' })
  const asToken = await plane.callerOf(mine.token)
  await assert.rejects(plane.tokens.create({ name: 'more' }, asToken), { code: 'invalid' })
  assert.equal((await plane.tokens.list(reader))[0]?.lastUsedAt, '2026-11-24T12:00:00.000Z')
  const theirs = await plane.tokens.create({ name: 'ci' }, admin)
  assert.deepEqual(
    (await plane.tokens.list(reader)).map(({ id }) => id),
    [mine.info.id],
  )
  assert.equal((await plane.tokens.list(admin)).length, 2)
  await assert.rejects(plane.tokens.remove(theirs.info.id, reader), { code: 'not-found' })
  await assert.rejects(plane.tokens.remove(admin.bearer.id, admin), { code: 'not-found' })
  await plane.tokens.remove(mine.info.id, admin)
  assert.equal(await plane.bearers.authenticate(mine.token), null)
  const { token } = await plane.tokens.create({ name: 'short', validDays: 1 }, reader)
  plane.pass(86_400_000)
  assert.equal(await plane.bearers.authenticate(token), null)
})

test('roles: unknown privileges by name, no doubles, not while in use, never a system role', async () => {
  await using plane = await setUp()
  const admin = await plane.logIn()
  await assert.rejects(plane.roles.create({ name: 'x', privileges: ['Cryptographer.Encript'] }, admin), {
    code: 'invalid',
    message: /Cryptographer\.Encript/,
    field: 'privileges',
  })
  const role = await plane.roles.create(
    { name: 'keeper', privileges: ['System.Read', 'Global.CancelTask', 'System.Read'] },
    admin,
  )
  assert.deepEqual(role, { name: 'keeper', privileges: ['Global.CancelTask', 'System.Read'], system: false })
  await assert.rejects(plane.roles.create({ name: 'keeper', privileges: [] }, admin), { code: 'already-exists' })
  await plane.users.create({ name: 'user', password, role: 'keeper' }, admin)
  await assert.rejects(plane.users.create({ name: 'y', password, role: 'nothing' }, admin), { code: 'not-found' })
  await assert.rejects(plane.roles.remove('keeper', admin), { code: 'in-use', message: /user/ })
  await assert.rejects(plane.roles.remove('Admin', admin), { code: 'in-use' })
  await plane.users.remove('user', admin)
  await plane.roles.remove('keeper', admin)
  await assert.rejects(plane.roles.remove('keeper', admin), { code: 'not-found' })
})
