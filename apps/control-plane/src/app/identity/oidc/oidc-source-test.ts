import type { IdentitySourceTest, OidcConfig } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import { buildAuthorizationUrl, type Configuration, genericGrantRequest, ResponseBodyError } from 'openid-client'
import type { Clock } from '../../clock.ts'
import { connectionTrouble } from '../connection-trouble.ts'
import { clockToleranceSeconds, discoverProvider } from './provider.ts'
import { providerCertificate } from './provider-certificate.ts'
import { describeKeys, describeProvider, need, ProviderTestFailure } from './provider-description.ts'
import { codeOf, failureOf } from './provider-failure.ts'
import { ProviderFetchError, providerFetch } from './provider-fetch.ts'
import { defaultScopes } from './token-identity.ts'

const requestTimeoutMs = 10_000
const dayMs = 86_400_000

/** A certificate is told of when it ends so soon. */
const daysLeftFew = 30

/** What the browser would be sent back to; any port of this machine counts the same (RFC 8252, 7.3). */
const redirectUri = 'http://127.0.0.1:8400/callback'

/** One thing that was tried: what was seen, or what is wrong and what to do next. */
type Step = IdentitySourceTest['steps'][number]

/**
 * Tries a provider out as far as that goes without a user: certificate, description, keys, clock, whether it takes our
 * client and where it would send browsers. It ends with the first step that does not work, and changes nothing anywhere.
 */
export async function testOidcSource(config: OidcConfig, secret: Secret | null, clock: Clock): Promise<Step[]> {
  const steps: Step[] = []
  const fetch = providerFetch(config.ca)
  const get = (url: string | URL) =>
    fetch(new URL(url).href, {
      method: 'GET',
      headers: { accept: 'application/json, text/html' },
      body: undefined,
      redirect: 'manual',
      signal: AbortSignal.timeout(requestTimeoutMs),
    })
  let provider: Configuration | null = null
  const discovered = (): Configuration => {
    if (provider === null) throw new Error('the description is read before what needs it')
    return provider
  }
  const tries: readonly (readonly [string, () => Promise<string>])[] = [
    ['connection', () => tryConnection(new URL(config.issuer), config.ca, clock)],
    [
      'description',
      async () => {
        provider = await discoverProvider(config, secret)
        return describeProvider(provider, config)
      },
    ],
    ['signing keys', async () => describeKeys(await (await get(need(discovered(), 'jwks_uri'))).json())],
    ['clock', async () => compareClocks(await get(need(discovered(), 'jwks_uri')), clock)],
    ['login page', () => tryLoginPage(discovered(), config, get)],
    ['client', () => tryClient(discovered(), secret)],
  ]
  for (const [name, attempt] of tries) {
    try {
      steps.push({ name, works: true, text: await attempt() })
    } catch (error) {
      steps.push({ name, works: false, text: failureText(error) })
      break
    }
  }
  return steps
}

function failureText(error: unknown): string {
  if (error instanceof ProviderTestFailure || error instanceof ProviderFetchError) return error.message
  const failure = failureOf(error)
  if (failure !== null) return failure.text
  // What is no JSON, and what the network says.
  return error instanceof SyntaxError ? 'it answers with what is no JSON' : connectionTrouble(error)
}

async function tryConnection(issuer: URL, ca: string | undefined, clock: Clock): Promise<string> {
  if (issuer.protocol === 'http:') return 'plain HTTP on this machine'
  const { subject, issuer: by, valid_to } = await providerCertificate(issuer, ca)
  const daysLeft = Math.floor((Date.parse(valid_to) - clock()) / dayMs)
  const soon = daysLeft < daysLeftFew ? ': it has to be renewed soon' : ''
  return `TLS; certificate of ${nameOf(subject)} by ${nameOf(by)}, ${daysLeft} days left${soon}`
}

/** Node gives several values of one kind as a list. */
const nameOf = ({ CN, O }: { readonly CN?: string | string[]; readonly O?: string | string[] }) =>
  String(CN ?? O ?? 'nobody')

function compareClocks({ headers }: Response, clock: Clock): string {
  const theirs = Date.parse(headers.get('date') ?? '')
  if (Number.isNaN(theirs)) return 'it does not say what time it is there'
  const apart = Math.round((theirs - clock()) / 1000)
  if (Math.abs(apart) <= clockToleranceSeconds) return 'as here'
  const text = `it is ${Math.abs(apart)} seconds ${apart > 0 ? 'ahead of' : 'behind'} ours, so ID tokens would not count`
  throw new ProviderTestFailure(`${text}: set the clocks (NTP)`)
}

/** Providers refuse an unknown client or redirect URI with an error page, before anybody logs in (RFC 6749, 4.1.2.1). */
async function tryLoginPage(
  provider: Configuration,
  { scopes = defaultScopes }: OidcConfig,
  get: (url: URL) => Promise<Response>,
): Promise<string> {
  const url = buildAuthorizationUrl(provider, {
    redirect_uri: redirectUri,
    scope: scopes.join(' '),
    // Of nothing: nobody finishes this login.
    code_challenge: 'A'.repeat(43),
    code_challenge_method: 'S256',
    nonce: 'test',
    state: 'test',
  })
  const { status, headers } = await get(url)
  const location = URL.parse(headers.get('location') ?? '', url)
  const refused = location?.searchParams.get('error') ?? null
  if (status >= 500) throw new ProviderTestFailure(`it answers with the HTTP status ${status}`)
  if (status >= 400) {
    const next = 'register http://127.0.0.1/callback there, any port (or, for --callback-port, exactly that port)'
    throw new ProviderTestFailure(`it does not know the client ID, or not the redirect URI ${redirectUri}: ${next}`)
  }
  if (refused !== null && location?.href.startsWith(redirectUri) === true) {
    throw new ProviderTestFailure(`it refuses the login: ${codeOf(refused)}; look at the scopes`)
  }
  return 'it takes our client ID and redirect URI'
}

/** Shows a code that does not exist: only whoever it knows is told that the code is wrong (RFC 6749, 5.2). */
async function tryClient(provider: Configuration, secret: Secret | null): Promise<string> {
  const what = secret === null ? 'the client ID, without a secret' : 'the client ID and secret'
  try {
    const code_verifier = 'A'.repeat(43)
    await genericGrantRequest(provider, 'authorization_code', {
      code: 'none',
      redirect_uri: redirectUri,
      code_verifier,
    })
  } catch (error) {
    const isTaken =
      error instanceof ResponseBodyError && !['invalid_client', 'unauthorized_client'].includes(error.error)
    if (isTaken) return `it takes ${what}`
    throw error
  }
  throw new ProviderTestFailure('it gives tokens for a code that it never gave: that is no provider to trust')
}
