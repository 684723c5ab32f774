import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OidcConfig } from '@cryptvisor/control-plane-api'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { openOpenIdProvider, testClient } from '@cryptvisor/testkit/openid-provider'
import { type Forgery, openForgingProvider } from '../../../testing/forging-provider.ts'
import { testOidcSource } from './oidc-source-test.ts'

const refusedScope = 'http://127.0.0.1:8400/callback?error=invalid_scope'

/** What did not work, and why; `null`: everything worked. */
async function failureOf(config: OidcConfig, secretText = testClient.secret, clock = Date.now) {
  using secret = Secret.from(new TextEncoder().encode(secretText))
  const steps = await testOidcSource(config, secret, clock)
  const last = steps.at(-1)
  assert.ok(last !== undefined && steps.slice(0, -1).every(({ works }) => works), 'it ends with the first failure')
  return last.works ? null : `${last.name}: ${last.text}`
}

test('a real provider is tried out without a user; what is wrong is said with what to do', async () => {
  await using provider = await openOpenIdProvider(new Map())
  const config = { issuer: provider.issuer, clientId: testClient.id }
  using secret = Secret.from(new TextEncoder().encode(testClient.secret))
  const steps = await testOidcSource(config, secret, Date.now)
  assert.deepEqual(
    steps.map(({ name, works }) => [name, works]),
    ['connection', 'description', 'signing keys', 'clock', 'login page', 'client'].map((name) => [name, true]),
  )
  assert.match((await failureOf(config, 'not the secret')) ?? '', /^client: .*client secret is wrong/)
  assert.match((await failureOf({ ...config, clientId: 'wiki' })) ?? '', /^login page: .*client ID.*register http:/)
  const described = await testOidcSource({ ...config, scopes: ['openid', 'roles'] }, secret, Date.now)
  assert.match(described[1]?.text ?? '', /does not list the scope roles/)
  assert.match((await failureOf({ ...config, issuer: `${provider.issuer}/realms/none` })) ?? '', /^description: /)
  const fast = () => Date.now() + 600_000
  assert.match((await failureOf(config, testClient.secret, fast)) ?? '', /^clock: .*60\d seconds behind ours.*NTP/)
  await provider[Symbol.asyncDispose]()
  assert.match((await failureOf(config)) ?? '', /^description: .*nothing listens there.*ECONNREFUSED/)
})

test('a provider that could not vouch for anybody is found out', async () => {
  await using provider = await openForgingProvider(testClient.id, testClient.secret)
  const config = { issuer: provider.issuer, clientId: testClient.id }
  const rows: readonly (readonly [Forgery, RegExp])[] = [
    [{ discovery: { id_token_signing_alg_values_supported: ['HS256'] } }, /^description: .*RS256 or ES256/],
    [{ discovery: { response_types_supported: ['id_token'] } }, /^description: .*code flow/],
    [{ discovery: { jwks_uri: undefined } }, /^signing keys: .*jwks_uri/],
    [{ discovery: { issuer: 'https://login.example.org' } }, /^description: .*another issuer/],
    [{ answers: { '/jwks': { status: 200, body: '{"keys":[{"kty":"oct"}]}' } } }, /^signing keys: .*no public key/],
    [{ answers: { '/jwks': { status: 200, body: '<html>' } } }, /^signing keys: .*no JSON/],
    [{ answers: { '/auth': { status: 303, body: '', to: refusedScope } } }, /^login page: .*invalid_scope.*scopes/],
    [{ answers: { '/auth': { status: 500, body: '' } } }, /^login page: .*status 500/],
    [{}, /^client: .*that it never gave/],
  ]
  for (const [forgery, said] of rows) {
    provider.forge(forgery)
    assert.match((await failureOf(config)) ?? 'works', said)
  }
})

test('a certificate is trusted by the CA that was given alone, for its own name, and told of', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('test CA', 1, () => new Date())
  privateKey[Symbol.dispose]()
  using identity = await authority.issue({
    ...{ commonName: 'login.example.org', usages: ['server'], hosts: ['127.0.0.1'], validDays: 1 },
  })
  const key = identity.privateKey.expose((bytes) => Buffer.from(bytes).toString())
  await using provider = await openForgingProvider(testClient.id, '', { key, cert: identity.certificate })
  const config = { issuer: provider.issuer, clientId: testClient.id }
  assert.match((await failureOf(config)) ?? '', /^connection: .*no CA that is trusted here.*--server-ca/)
  const trusted = { ...config, ca: authority.certificate }
  const steps = await testOidcSource(trusted, null, Date.now)
  assert.match(steps[0]?.text ?? '', /certificate of login\.example\.org by test CA, [01] days left: .*renewed soon/)
  assert.equal(steps[1]?.works, true)
  const elsewhere = { ...trusted, issuer: provider.issuer.replace('127.0.0.1', 'localhost') }
  assert.match((await failureOf(elsewhere)) ?? '', /^connection: .*for another name/)
})
