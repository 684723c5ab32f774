import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OidcConfig } from '@cryptvisor/control-plane-api'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { confirmDevice, openOpenIdProvider, testClient } from '@cryptvisor/testkit/openid-provider'
import { openAccessPlane } from '../../../testing/access-plane.ts'
import { openForgingProvider } from '../../../testing/forging-provider.ts'
import { LoginFailures } from '../../login-failures.ts'
import { Admission } from '../admission.ts'
import { IdentitySources } from '../identity-sources.ts'
import { DeviceLogins } from './device-logins.ts'

const home = '192.0.2.1'

/** A plane with the source `corp` at `issuer`. */
async function setUp(issuer: string, more: Partial<OidcConfig> = { deviceLogins: true }) {
  await using stack = new AsyncDisposableStack()
  const plane = stack.use(await openAccessPlane())
  const { database, events, bearers, secondFactors, now: clock } = plane
  using rootKey = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), rootKey)
  const failures = new LoginFailures(events, clock)
  const sources = new IdentitySources(database, events, barrier, clock)
  const admission = new Admission({ events, bearers, secondFactors, failures, clock })
  const logins = new DeviceLogins({ database, sources, admission, failures, clock })
  await sources.create({ name: 'corp', oidc: { issuer, clientId: testClient.id, ...more } }, plane.admin)
  using secret = Secret.from(new TextEncoder().encode(testClient.secret))
  await sources.setSecret('corp', secret, plane.admin)
  const kept = stack.move()
  return { plane, logins, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

test('somebody logs in at a terminal by typing a code elsewhere; the provider is asked no more often than it wants', async () => {
  await using provider = await openOpenIdProvider(new Map([['u-1', { name: 'Kim', groups: [] }]]))
  await using setting = await setUp(provider.issuer)
  const { logins, plane } = setting
  const { attempt, verificationUri, userCode, intervalSeconds } = await logins.begin({ source: 'corp' }, home)
  const waits = { login: null, retryAfterSeconds: intervalSeconds }
  plane.pass(intervalSeconds * 1000)
  assert.deepEqual(await logins.finish({ attempt }, home), waits, 'nobody has logged in yet')
  await confirmDevice(verificationUri, userCode, 'u-1')
  assert.deepEqual(await logins.finish({ attempt }, home), waits, 'it was asked just now')
  plane.pass(intervalSeconds * 1000)
  await assert.rejects(logins.finish({ attempt: 'made up' }, home), { code: 'not-logged-in' })
  const { login } = await logins.finish({ attempt }, home)
  assert.equal(login?.user, 'kim@corp')
  assert.ok((await plane.bearers.authenticate(login.token)) !== null)
  await assert.rejects(logins.finish({ attempt }, home), { code: 'not-logged-in' }, 'it counts once')
})

test('a source lets nobody log in so unless an administrator said it', async () => {
  await using provider = await openOpenIdProvider(new Map())
  await using setting = await setUp(provider.issuer, {})
  await assert.rejects(setting.logins.begin({ source: 'corp' }, home), { message: /--device-logins/ })
  await assert.rejects(setting.logins.begin({ source: 'crop' }, home), { message: /there are corp/ })
})

test('what a provider answers wrongly is refused; slowing down, refusing and being too late are told apart', async () => {
  await using provider = await openForgingProvider(testClient.id, testClient.secret)
  const device_authorization_endpoint = `${provider.issuer}/device`
  const discovery = { device_authorization_endpoint }
  const grant = {
    device_code: 'd-1',
    user_code: 'WXYZ-1234',
    verification_uri: `${provider.issuer}/type`,
    expires_in: 300,
  }
  const answering = (more: object, tokens?: object) => ({
    discovery,
    answers: {
      '/device': { status: 200, body: JSON.stringify({ ...grant, ...more }) },
      ...(tokens === undefined ? {} : { '/token': { status: 400, body: JSON.stringify(tokens) } }),
    },
  })
  await using setting = await setUp(provider.issuer)
  const { logins, plane } = setting
  await assert.rejects(logins.begin({ source: 'corp' }, home), { message: /no logins by device/ })
  const wrong = { code: 'identity-source-failed', message: /no address and code that can be shown/ }
  for (const more of [{ verification_uri: 'http://login.example.org/' }, { user_code: 'A\u001b[2J' }]) {
    provider.forge(answering(more))
    await assert.rejects(logins.begin({ source: 'corp' }, home), wrong)
  }
  provider.forge(answering({ interval: 1 }, { error: 'slow_down' }))
  const { attempt } = await logins.begin({ source: 'corp' }, home)
  plane.pass(1000)
  assert.deepEqual(await logins.finish({ attempt }, home), { login: null, retryAfterSeconds: 6 })
  provider.forge(answering({}, { error: 'access_denied' }))
  plane.pass(6000)
  await assert.rejects(logins.finish({ attempt }, home), { code: 'not-logged-in', message: /refused in the browser/ })
  const rows = [
    [answering({}, { error: 'expired_token' }), 'not-logged-in', /in time/],
    [{ ...answering({}), signature: 'another key' }, 'identity-source-failed', /signature/],
    [
      { ...answering({}), tokens: () => ({ access_token: 'a', token_type: 'Bearer' }) },
      'identity-source-failed',
      /no ID token/,
    ],
  ] as const
  for (const [forgery, code, message] of rows) {
    provider.forge(forgery)
    const begun = await logins.begin({ source: 'corp' }, home)
    plane.pass(5000)
    await assert.rejects(logins.finish({ attempt: begun.attempt }, home), { code, message })
  }
  assert.deepEqual(
    (await plane.users.list()).map(({ name }) => name),
    ['admin'],
  )
})
