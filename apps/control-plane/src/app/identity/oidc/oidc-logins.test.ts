import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OidcConfig } from '@cryptvisor/control-plane-api'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { browse, openOpenIdProvider, type TestAccount, testClient } from '@cryptvisor/testkit/openid-provider'
import { openAccessPlane } from '../../../testing/access-plane.ts'
import { LoginFailures } from '../../login-failures.ts'
import { recoveryCodeHash } from '../../second-factor/recovery-codes.ts'
import { Tokens } from '../../tokens.ts'
import { Admission } from '../admission.ts'
import { GroupMappings } from '../group-mappings.ts'
import { IdentitySources } from '../identity-sources.ts'
import { OidcLogins } from './oidc-logins.ts'

const home = '192.0.2.1'
const dayMs = 86_400_000
const code = 'abcd-efgh-ijkl-mnop'
const redirectUri = 'http://127.0.0.1:54321/callback'

/** A plane with the source `corp`, a real provider, whose accounts a test may change. */
async function setUp(more: Partial<OidcConfig> = {}, secretText: string | null = testClient.secret) {
  await using stack = new AsyncDisposableStack()
  const plane = stack.use(await openAccessPlane())
  const { database, events, bearers, secondFactors } = plane
  const accounts = new Map<string, TestAccount>([['u-1', { name: 'Kim', groups: ['vm-operators', 'staff'] }]])
  const provider = stack.use(await openOpenIdProvider(accounts))
  using rootKey = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), rootKey)
  // The tokens of the provider are of the time that it is.
  const clock = plane.now
  const failures = new LoginFailures(events, clock)
  const sources = new IdentitySources(database, events, barrier, clock)
  const mappings = new GroupMappings(events, plane.now)
  const admission = new Admission({ events, bearers, secondFactors, failures, clock })
  const logins = new OidcLogins({ database, sources, admission, failures, clock })
  const config: OidcConfig = { issuer: provider.issuer, clientId: testClient.id, ...more }
  await sources.create({ name: 'corp', oidc: config }, plane.admin)
  if (secretText !== null) {
    using secret = Secret.from(new TextEncoder().encode(secretText))
    await sources.setSecret('corp', secret, plane.admin)
  }
  const begin = () => logins.begin({ source: 'corp', redirectUri }, home)
  const logIn = async (account: string) => {
    const { attempt, url } = await begin()
    return logins.finish({ attempt, query: await browse(url, account) }, home)
  }
  const eventsOf = async (type: 'user.login' | 'user.login-failed' | 'identity-source.failed') =>
    (await events.list({ type, limit: 10 })).map(({ text }) => text)
  const kept = stack.move()
  return {
    ...{ plane, accounts, provider, sources, mappings, logins, begin, logIn, eventsOf, config },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

test('a user of the provider logs in, and has what the mapped groups have; groups follow at each login', async () => {
  await using setting = await setUp()
  const { plane, mappings, logIn, accounts } = setting
  await plane.groups.create({ name: 'operators' }, plane.admin)
  await plane.groups.create({ name: 'night' }, plane.admin)
  const root = { kind: 'root', name: '/' } as const
  await plane.permissions.set({ object: root, to: { kind: 'group', name: 'operators' }, role: 'ReadOnly' }, plane.admin)
  await mappings.add('corp', { external: 'vm-operators', group: 'operators' }, plane.admin)
  const { user, token } = await logIn('u-1')
  assert.equal(user, 'kim@corp')
  const kim = await plane.bearers.authenticate(token)
  assert.ok(kim !== null)
  assert.ok(kim.privileges.has('System.Read'))
  await assert.rejects(plane.groups.removeMember('operators', 'kim@corp', plane.admin), { code: 'invalid' })
  await plane.groups.addMember('night', 'kim@corp', plane.admin)
  accounts.set('u-1', { name: 'kim.renamed', groups: 'staff' })
  assert.equal((await logIn('u-1')).user, 'kim@corp', 'who it is says the subject')
  const now = await plane.again(kim)
  assert.equal(now.privileges.has('System.Read'), false)
  const members = (await plane.groups.list()).map(({ name, members }) => [name, members])
  assert.deepEqual(members, [
    ['night', ['kim@corp']],
    ['operators', []],
  ])
})

test('another account under the same name is no heir, and one without a usable name does not come in', async () => {
  await using setting = await setUp()
  const { logIn, accounts, eventsOf, plane } = setting
  await logIn('u-1')
  accounts.set('u-2', { name: 'KIM' })
  await assert.rejects(logIn('u-2'), { code: 'not-logged-in', message: /another account of corp/ })
  accounts.set('u-3', { name: 'zoë' })
  await assert.rejects(logIn('u-3'), { code: 'not-logged-in', message: /other characters/ })
  accounts.set('u-4', {})
  await assert.rejects(logIn('u-4'), { code: 'not-logged-in', message: /no claim preferred_username/ })
  accounts.set('u-5', { name: 'lee', groups: [{ name: 'vm-operators' }] })
  await assert.rejects(logIn('u-5'), { code: 'not-logged-in', message: /no list of names/ })
  assert.deepEqual(
    (await plane.users.list()).map(({ name }) => name),
    ['admin', 'kim@corp'],
  )
  assert.match((await eventsOf('user.login-failed')).join(), /by corp failed/)
})

test('an answer counts once, for whoever began, with its own state, and not too late', async () => {
  await using setting = await setUp()
  const { begin, logins, plane, provider } = setting
  const first = await begin()
  const query = await browse(first.url, 'u-1')
  const second = await begin()
  await assert.rejects(logins.finish({ attempt: second.attempt, query }, home), { code: 'not-logged-in' })
  await assert.rejects(logins.finish({ attempt: 'made up', query }, home), { code: 'not-logged-in' })
  await logins.finish({ attempt: first.attempt, query }, home)
  await assert.rejects(logins.finish({ attempt: first.attempt, query }, home), { code: 'not-logged-in' })
  const code = new URLSearchParams(await browse((await begin()).url, 'u-1')).get('code') ?? ''
  const own = await begin()
  const state = new URL(own.url).searchParams.get('state') ?? ''
  const stolen = `?${new URLSearchParams({ code, state, iss: provider.issuer })}`
  const refused = { code: 'not-logged-in', message: /does not know this login/ }
  await assert.rejects(logins.finish({ attempt: own.attempt, query: stolen }, home), refused, 'a code of another login')
  const third = await begin()
  const late = await browse(third.url, 'u-1')
  plane.pass(11 * 60_000)
  await assert.rejects(logins.finish({ attempt: third.attempt, query: late }, home), { code: 'not-logged-in' })
  for (const elsewhere of ['http://192.0.2.7:80/callback', 'https://127.0.0.1:1/callback', 'http://127.0.0.1:1/x']) {
    await assert.rejects(logins.begin({ source: 'corp', redirectUri: elsewhere }, home), { field: 'redirectUri' })
  }
})

test('a provider that says no, one that refuses us and one that is gone are told apart', async () => {
  await using setting = await setUp({}, 'not the secret')
  const { begin, logins, logIn, provider, plane, eventsOf } = setting
  await assert.rejects(logIn('u-1'), { code: 'identity-source-failed', message: /client secret is wrong/ })
  const { attempt, url } = await begin()
  const state = new URL(url).searchParams.get('state') ?? ''
  const query = `?error=access_denied&state=${state}&iss=${encodeURIComponent(provider.issuer)}`
  await assert.rejects(logins.finish({ attempt, query }, home), { code: 'not-logged-in', message: /access_denied/ })
  await provider[Symbol.asyncDispose]()
  await assert.rejects(begin(), { code: 'identity-source-failed', message: /ECONNREFUSED/ })
  await plane.logIn('admin')
  assert.match((await eventsOf('identity-source.failed')).join(), /ECONNREFUSED/)
})

test('users of a source have no password here, and names of a source are nobody else’s', async () => {
  await using setting = await setUp()
  const { plane, logIn, sources } = setting
  await logIn('u-1')
  await assert.rejects(plane.users.change('kim@corp', { password: plane.password }, plane.admin), { field: 'password' })
  await assert.rejects(plane.logIn('kim@corp'), { code: 'not-logged-in' })
  const kim = await plane.bearers.authenticate((await logIn('u-1')).token)
  assert.ok(kim !== null)
  const passwords = { oldPassword: plane.password, newPassword: 'another of twelve' }
  const elsewhere = { code: 'invalid', message: /log in by corp.*change it there/ }
  await assert.rejects(plane.logins.changePassword(kim, passwords, home), elsewhere)
  await assert.rejects(plane.addUser('lee@Corp'), { field: 'name' })
  await assert.rejects(plane.users.setAdministrator('kim@corp', plane.password), { field: 'name' })
  await plane.addUser('lee@branch')
  const oidc = { issuer: 'https://login.example.org', clientId: 'x' }
  await assert.rejects(sources.create({ name: 'branch', oidc }, plane.admin), { code: 'in-use' })
  const plain = { issuer: 'http://login.example.org', clientId: 'x' }
  await assert.rejects(sources.create({ name: 'plain', oidc: plain }, plane.admin), { field: 'oidc.issuer' })
  const anybody = { issuer: 'https://login.microsoftonline.com/common/v2.0', clientId: 'x' }
  await assert.rejects(sources.create({ name: 'anybody', oidc: anybody }, plane.admin), { message: /of one tenant/ })
})

test('a source that is switched off lets nobody in, nor keeps anybody in; one that is removed takes its users along', async () => {
  await using setting = await setUp()
  const { plane, logIn, sources, begin } = setting
  const kim = await plane.bearers.authenticate((await logIn('u-1')).token)
  assert.ok(kim !== null)
  await sources.change('corp', { enabled: false }, plane.admin)
  assert.equal(await plane.bearers.refresh(kim), null)
  await assert.rejects(begin(), { code: 'not-found', message: /there is none, users log in with their password/ })
  await sources.change('corp', { enabled: true }, plane.admin)
  await logIn('u-1')
  await sources.remove('corp', plane.admin)
  assert.deepEqual(
    (await plane.users.list()).map(({ name }) => name),
    ['admin'],
  )
})

test('API tokens rest when the source has not confirmed their user for long, until the next login by it', async () => {
  await using setting = await setUp()
  const { plane, logIn, sources, logins } = setting
  const tokens = new Tokens(plane.database, plane.events, plane.bearers, plane.now)
  const kim = await plane.bearers.authenticate((await logIn('u-1')).token)
  assert.ok(kim !== null)
  const { token } = await tokens.create({ name: 'ci' }, kim)
  const own = await tokens.create({ name: 'ci' }, await plane.logIn())
  plane.pass(29 * dayMs)
  assert.ok((await plane.bearers.authenticate(token)) !== null)
  plane.pass(dayMs)
  const rests = { code: 'not-logged-in', message: /corp has not confirmed this user for 30 days: log in once by corp/ }
  await assert.rejects(plane.bearers.authenticate(token), rests)
  assert.ok((await plane.bearers.authenticate(own.token)) !== null, 'users of our own need no source')
  await logIn('u-1')
  assert.ok((await plane.bearers.authenticate(token)) !== null)
  assert.equal((await sources.change('corp', { confirmDays: 1 }, plane.admin)).hasSecret, true)
  plane.pass(dayMs)
  await assert.rejects(plane.bearers.authenticate(token), { message: /for a day/ })
  await assert.rejects(logins.begin({ source: 'crop', redirectUri }, home), {
    message: /no identity source crop.*there are corp/,
  })
})

test('nobody makes themselves more by a source: who changes one covers its users and groups', async () => {
  await using setting = await setUp()
  const { plane, mappings, sources, config } = setting
  await plane.roles.create(
    { name: 'Doorkeeper', privileges: ['VcIdentityProviders.Manage', 'System.Read'] },
    plane.admin,
  )
  await plane.addUser('lee', 'Doorkeeper')
  const lee = await plane.logIn('lee')
  await plane.groups.create({ name: 'bosses' }, plane.admin)
  const root = { kind: 'root', name: '/' } as const
  await plane.permissions.set({ object: root, to: { kind: 'group', name: 'bosses' }, role: 'Admin' }, plane.admin)
  const mapping = { external: 'staff', group: 'bosses' }
  await assert.rejects(mappings.add('corp', mapping, lee), { code: 'no-privilege' })
  await mappings.add('corp', mapping, plane.admin)
  const elsewhere = { ...config, clientId: 'mine' }
  await assert.rejects(sources.change('corp', { oidc: elsewhere }, lee), { code: 'no-privilege' })
  await assert.rejects(sources.remove('corp', lee), { code: 'no-privilege' })
  await setting.logIn('u-1')
  await assert.rejects(plane.users.remove('admin', plane.admin), { code: 'in-use' }, 'one of our own has to stay')
})

test('a second factor is asked for after the provider, without going there again; a wrong code counts', async () => {
  await using setting = await setUp()
  const { plane, logIn, begin, logins } = setting
  const kim = await plane.bearers.authenticate((await logIn('u-1')).token)
  assert.ok(kim !== null)
  await plane.secondFactors.enroll(kim)
  const confirmed_at = plane.now()
  await plane.database.updateTable('second_factor').set({ confirmed_at }).execute()
  const code_sha256 = recoveryCodeHash(code) ?? ''
  await plane.database.insertInto('recovery_code').values({ user_name: 'kim@corp', code_sha256 }).execute()
  const { attempt, url } = await begin()
  const query = await browse(url, 'u-1')
  await assert.rejects(logins.finish({ attempt, query }, home), { code: 'second-factor-required' })
  await assert.rejects(logins.finish({ attempt, query, code: '000000' }, home), { code: 'second-factor-required' })
  assert.equal((await logins.finish({ attempt, query, code }, home)).user, 'kim@corp')
  await assert.rejects(logins.finish({ attempt, query, code }, home), { code: 'not-logged-in' })
})

test('a secret opens only for the settings that it was given for', async () => {
  await using setting = await setUp()
  const { plane, sources, config, logIn } = setting
  const elsewhere = JSON.stringify({ ...config, scopes: ['openid'] })
  await plane.database.updateTable('identity_source').set({ config: elsewhere }).execute()
  await assert.rejects(logIn('u-1'), { name: 'KeyStoreError' })
  await plane.database
    .updateTable('identity_source')
    .set({ config: JSON.stringify(config) })
    .execute()
  await logIn('u-1')
  const changed = await sources.change('corp', { oidc: { ...config, groupsClaim: 'roles' } }, plane.admin)
  assert.equal(changed.hasSecret, false)
})
