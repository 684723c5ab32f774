import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { openAccessPlane } from '../../../testing/access-plane.ts'
import { type Forgery, openForgingProvider } from '../../../testing/forging-provider.ts'
import { LoginFailures } from '../../login-failures.ts'
import { Admission } from '../admission.ts'
import { IdentitySources } from '../identity-sources.ts'
import { OidcLogins } from './oidc-logins.ts'

const home = '192.0.2.1'
const redirectUri = 'http://127.0.0.1:54321/callback'
const client = { id: 'cryptvisor', secret: 'a client secret of the test' }

async function setUp() {
  await using stack = new AsyncDisposableStack()
  const plane = stack.use(await openAccessPlane())
  const provider = stack.use(await openForgingProvider(client.id, client.secret))
  const { database, events, bearers, secondFactors, now: clock } = plane
  using rootKey = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), rootKey)
  const failures = new LoginFailures(events, clock)
  const sources = new IdentitySources(database, events, barrier, clock)
  const admission = new Admission({ events, bearers, secondFactors, failures, clock })
  const logins = new OidcLogins({ database, sources, admission, failures, clock })
  await sources.create({ name: 'corp', oidc: { issuer: provider.issuer, clientId: client.id } }, plane.admin)
  using secret = Secret.from(new TextEncoder().encode(client.secret))
  await sources.setSecret('corp', secret, plane.admin)
  const logIn = async (forgery: Forgery) => {
    provider.forge(forgery)
    const { attempt, url } = await logins.begin({ source: 'corp', redirectUri }, home)
    return logins.finish({ attempt, query: provider.comeBack(url) }, home)
  }
  const kept = stack.move()
  return { plane, provider, logIn, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

const elsewhere = 'https://login.example.org'
const now = () => Math.floor(Date.now() / 1000)
const without = (name: string) => (claims: object) =>
  Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name))

const broken = 'identity-source-failed'
const ofBrowser = 'not-logged-in'
const badSignature = /signature of its ID token is by none of its keys/
const badAlgorithm = /not signed as it has to be/
const incomplete = /lacks what has to be there/

/** What a provider, or whoever poses as it, does wrong; how that is classed, and what is said of it. */
const forgeries: readonly (readonly [string, Forgery, string, RegExp])[] = [
  ['a signature by another key', { signature: 'another key' }, broken, badSignature],
  [
    'claims that were changed after signing',
    { changedAfter: (claims) => ({ ...claims, sub: 'u-2' }) },
    broken,
    badSignature,
  ],
  ['no signature', { header: { alg: 'none' }, signature: 'none' }, broken, badAlgorithm],
  [
    'no signature, and a description that says so',
    {
      ...{ header: { alg: 'none' }, signature: 'none' },
      discovery: { id_token_signing_alg_values_supported: ['none'] },
    },
    broken,
    /signed by a key pair/,
  ],
  ['a signature by the client secret', { header: { alg: 'HS256' }, signature: 'client secret' }, broken, badAlgorithm],
  [
    'a signature by the client secret, and a description that says so',
    {
      ...{ header: { alg: 'HS256' }, signature: 'client secret' },
      discovery: { id_token_signing_alg_values_supported: ['HS256'] },
    },
    broken,
    /signed by a key pair/,
  ],
  [
    'the public key taken for a shared secret',
    { header: { alg: 'HS256', kid: 'k-1' }, signature: 'public key as a secret' },
    broken,
    badAlgorithm,
  ],
  ['a key that it does not have', { header: { alg: 'ES256', kid: 'k-9' } }, broken, /by none of its keys/],
  [
    'a key that the token brings along',
    { header: { alg: 'ES256', kid: 'k-9', jwk: { kty: 'EC', crv: 'P-256' } }, signature: 'another key' },
    broken,
    /by none of its keys/,
  ],
  ['a token for another login', { claims: (honest) => ({ ...honest, nonce: 'of another' }) }, broken, /claim nonce/],
  ['a token for no login', { claims: without('nonce') }, broken, incomplete],
  ['a token for another client', { claims: (honest) => ({ ...honest, aud: 'wiki' }) }, broken, /claim aud/],
  [
    'a token for others, too',
    { claims: (honest) => ({ ...honest, aud: [client.id, 'wiki'] }) },
    broken,
    /claim a(ud|zp)/,
  ],
  [
    'a token that was given to another client',
    { claims: (honest) => ({ ...honest, aud: [client.id, 'wiki'], azp: 'wiki' }) },
    broken,
    /claim azp/,
  ],
  ['a token of another issuer', { claims: (honest) => ({ ...honest, iss: elsewhere }) }, broken, /claim iss/],
  [
    'a token that is over',
    { claims: (honest) => ({ ...honest, iat: now() - 7200, exp: now() - 3600 }) },
    broken,
    /claim exp.*clocks/,
  ],
  ['a token that is not valid yet', { claims: (honest) => ({ ...honest, nbf: now() + 3600 }) }, broken, /claim nbf/],
  ['a token for ever', { claims: without('exp') }, broken, incomplete],
  ['a token of nobody', { claims: without('sub') }, broken, incomplete],
  ['no ID token', { tokens: without('id_token') }, broken, incomplete],
  [
    'user info of somebody else',
    { claims: without('groups'), userInfo: { sub: 'u-2', groups: ['bosses'] } },
    broken,
    /user info is of another user/,
  ],
  ['a description of another issuer', { discovery: { issuer: elsewhere } }, broken, /calls itself another issuer/],
  ['a key set that is not there', { answers: { '/jwks': { status: 404, body: '' } } }, broken, /HTTP status/],
  [
    'tokens by way of somewhere else',
    { answers: { '/token': { status: 307, body: '', to: 'http://127.0.0.1:9/token' } } },
    broken,
    /HTTP status/,
  ],
  [
    'a token endpoint at an address that is never asked',
    { discovery: { token_endpoint: 'http://169.254.169.254/' } },
    broken,
    /refused/,
  ],
  [
    'an endless answer',
    { answers: { '/jwks': { status: 200, body: ' '.repeat(1_100_000) } } },
    broken,
    /1048576 bytes/,
  ],
  ['no JSON', { answers: { '/token': { status: 200, body: '<html>' } } }, broken, /no JSON/],
  ['an answer by another issuer', { query: { iss: elsewhere } }, ofBrowser, /came back from another provider/],
  ['an answer to another login', { query: { state: 'of another' } }, ofBrowser, /came back from another login/],
]

test('whatever a provider forges is refused by name, with an event, and gives nobody a session', async () => {
  await using setting = await setUp()
  const { plane, logIn } = setting
  const before = await plane.database.selectFrom('bearer').selectAll().execute()
  for (const [what, forgery, code, said] of forgeries) {
    // So that the event is not one of a flood.
    plane.pass(600_000)
    await assert.rejects(logIn(forgery), { code, message: said }, what)
    const type = code === broken ? 'identity-source.failed' : 'user.login-failed'
    const [event] = await plane.events.list({ type, limit: 1 })
    assert.match(event?.text ?? '', said, what)
  }
  assert.deepEqual(await plane.database.selectFrom('bearer').selectAll().execute(), before)
  assert.deepEqual(
    (await plane.users.list()).map(({ name }) => name),
    ['admin'],
  )
  assert.equal((await logIn({})).user, 'kim@corp', 'the same provider, when it is honest')
})
