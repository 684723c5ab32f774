import type { BeginOidcLogin, FinishOidcLogin, LoginAnswer, OidcLoginBegun } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  fetchUserInfo,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import { type Clock, timeText } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { LoginFailures } from '../../login-failures.ts'
import { Turns } from '../../turns.ts'
import type { Admission } from '../admission.ts'
import type { ExternalIdentity } from '../external-users.ts'
import { oidcConfigOf } from '../identity-source.ts'
import type { IdentitySources } from '../identity-sources.ts'
import { identityOf } from './claims.ts'
import { OidcAttempts } from './oidc-attempts.ts'
import { discoverProvider } from './provider.ts'
import { failureOf } from './provider-failure.ts'

const defaultScopes = ['openid', 'profile', 'email']

/** So many providers are asked at once. */
const providersAtOnceMax = 8

/** Where a program on the user's own machine listens (RFC 8252, 7.3): the loopback addresses, any port, nothing else. */
const loopbackRedirect = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}\/callback$/

/** A login that was begun. What it holds is for one answer of the provider alone. */
interface Attempt {
  readonly source: IdentitySourceRow
  readonly redirectUri: string
  readonly verifier: string
  readonly nonce: string
  readonly state: string
  /** Whoever came back, where a code of the second factor has still to be given. */
  identity: ExternalIdentity | null
}

/** What these logins work with. */
export interface OidcLoginParts {
  readonly database: Kysely<Schema>
  readonly sources: IdentitySources
  readonly admission: Admission
  readonly failures: LoginFailures
  readonly clock: Clock
}

/**
 * Logins by OpenID Connect: authorization code with PKCE (RFC 7636), state and nonce. Tokens of the provider are looked at
 * once, and not kept.
 */
export class OidcLogins {
  readonly #parts: OidcLoginParts
  readonly #attempts: OidcAttempts<Attempt>
  readonly #turns = new Turns(providersAtOnceMax)

  constructor(parts: OidcLoginParts) {
    this.#parts = parts
    this.#attempts = new OidcAttempts(parts.clock)
  }

  /**
   * Says what the browser has to open. Throws `not-found` for the source, `invalid`, `identity-source-failed`, `too-busy`.
   */
  async begin({ source: name, redirectUri }: BeginOidcLogin, address: string): Promise<OidcLoginBegun> {
    if (!loopbackRedirect.test(redirectUri)) {
      const message = 'redirectUri: expected http://127.0.0.1:PORT/callback, on the machine of whoever logs in'
      throw new ControlPlaneError('invalid', message, { field: 'redirectUri' })
    }
    const source = await this.#source(name)
    const verifier = randomPKCECodeVerifier()
    const nonce = randomNonce()
    const state = randomState()
    const { secret, expiresAt } = this.#attempts.add(
      { source, redirectUri, verifier, nonce, state, identity: null },
      address,
    )
    try {
      const challenge = await calculatePKCECodeChallenge(verifier)
      const url = await this.#ask(source, address, async (provider) =>
        buildAuthorizationUrl(provider, {
          redirect_uri: redirectUri,
          scope: (oidcConfigOf(source).scopes ?? defaultScopes).join(' '),
          code_challenge: challenge,
          code_challenge_method: 'S256',
          nonce,
          state,
        }),
      )
      return { attempt: secret, url: url.href, expiresAt: timeText(expiresAt) }
    } catch (error) {
      this.#attempts.remove(secret)
      throw error
    }
  }

  /**
   * Makes a session of what the provider sent the browser back with. Throws `not-logged-in`, `second-factor-required` (then
   * it can be finished again, with a code), `identity-source-failed`, `too-busy`.
   */
  async finish({ attempt: secret, query, code }: FinishOidcLogin, address: string): Promise<LoginAnswer> {
    const attempt = this.#attempts.find(secret)
    if (attempt === null) {
      throw new ControlPlaneError('not-logged-in', 'this login took too long, is over, or is unknown: begin again')
    }
    // An answer of the provider counts once, whatever comes of it.
    if (attempt.identity === null) this.#attempts.remove(secret)
    attempt.identity ??= await this.#identityOf(attempt, query, address)
    try {
      const answer = await this.#parts.admission.admit(attempt.source, attempt.identity, address, code)
      this.#attempts.remove(secret)
      return answer
    } catch (error) {
      const again = error instanceof ControlPlaneError && error.code === 'second-factor-required'
      if (again) this.#attempts.keep(secret, attempt, address)
      else this.#attempts.remove(secret)
      throw error
    }
  }

  async #identityOf(attempt: Attempt, query: string, address: string): Promise<ExternalIdentity> {
    const { source, redirectUri, verifier, nonce, state } = attempt
    const config = oidcConfigOf(source)
    if (new URLSearchParams(query).get('state') !== state) {
      await this.#parts.failures.addAt(source.name, 'the browser came back from another login', address)
      throw new ControlPlaneError('not-logged-in', 'the browser came back from another login: log in again')
    }
    return this.#ask(source, address, async (provider) => {
      requireFrom(provider.serverMetadata().issuer, query)
      const url = new URL(redirectUri)
      url.search = query
      const tokens = await authorizationCodeGrant(provider, url, {
        pkceCodeVerifier: verifier,
        expectedNonce: nonce,
        expectedState: state,
        idTokenExpected: true,
      })
      const claims = tokens.claims()
      if (claims === undefined) throw new Error('openid-client lets no answer pass without an ID token')
      const { nameClaim = 'preferred_username', groupsClaim = 'groups' } = config
      const isWhole = claims[nameClaim] !== undefined && claims[groupsClaim] !== undefined
      if (isWhole || provider.serverMetadata().userinfo_endpoint === undefined) return identityOf(config, claims)
      // What the ID token says goes before what is only said on a connection.
      const more = await fetchUserInfo(provider, tokens.access_token, claims.sub)
      return identityOf(config, { ...more, ...claims })
    })
  }

  /** Asks the provider. Throws `not-logged-in` where it says no, `identity-source-failed` where it does not answer as it should. */
  async #ask<Result>(
    source: IdentitySourceRow,
    address: string,
    ask: (provider: Configuration) => Promise<Result>,
  ): Promise<Result> {
    const { sources, failures } = this.#parts
    return this.#turns.take(source.name, address, async () => {
      using secret = sources.openSecret(source)
      try {
        return await ask(await discoverProvider(oidcConfigOf(source), secret))
      } catch (error) {
        if (error instanceof ControlPlaneError) {
          await failures.addAt(source.name, error.message, address)
          throw error
        }
        const failure = failureOf(error)
        if (failure === null) throw error
        const { text, isBroken } = failure
        await (isBroken ? failures.addBroken(source.name, text) : failures.addAt(source.name, text, address))
        throw new ControlPlaneError(
          isBroken ? 'identity-source-failed' : 'not-logged-in',
          isBroken ? `${source.name} cannot be used now: ${text}; users of the control plane itself can log in` : text,
          { cause: error },
        )
      }
    })
  }

  async #source(name: string): Promise<IdentitySourceRow> {
    const rows = await this.#parts.database
      .selectFrom('identity_source')
      .selectAll()
      .where('enabled', '=', 1)
      .orderBy('name')
      .execute()
    const row = rows.find((each) => each.name === name)
    if (row?.kind === 'oidc') return row
    const known = rows.map((each) => each.name).join(', ')
    const message =
      row === undefined
        ? `there is no identity source ${name} to log in by: ${known === '' ? 'there is none, users log in with their password' : `there are ${known}`}`
        : `users of ${name} log in with their password, as NAME@${name}`
    throw new ControlPlaneError('not-found', message, { field: 'source' })
  }
}

/** What a browser brings can be anybody's: RFC 9207 has the provider say who sends it. Throws `not-logged-in`. */
function requireFrom(issuer: string, query: string): void {
  const brought = new URLSearchParams(query)
  if (brought.has('iss') && brought.get('iss') !== issuer) {
    throw new ControlPlaneError('not-logged-in', 'the browser came back from another provider: log in again')
  }
  if (!brought.has('code') && !brought.has('error')) {
    throw new ControlPlaneError('not-logged-in', 'the browser came back without an answer: log in again')
  }
}
