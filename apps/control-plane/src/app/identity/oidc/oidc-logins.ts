import type { BeginOidcLogin, FinishOidcLogin, LoginAnswer, OidcLoginBegun } from '@cryptvisor/control-plane-api'
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import { type Clock, timeText } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Admission } from '../admission.ts'
import type { ExternalIdentity } from '../external-users.ts'
import { oidcConfigOf } from '../identity-source.ts'
import { OidcAttempts } from './oidc-attempts.ts'
import { ProviderDesk, type ProviderDeskParts } from './provider-desk.ts'
import { defaultScopes, tokenIdentity } from './token-identity.ts'

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
export interface OidcLoginParts extends ProviderDeskParts {
  readonly admission: Admission
  readonly clock: Clock
}

/**
 * Logins by OpenID Connect: authorization code with PKCE (RFC 7636), state and nonce. Tokens of the provider are looked at
 * once, and not kept.
 */
export class OidcLogins {
  readonly #parts: OidcLoginParts
  readonly #desk: ProviderDesk
  readonly #attempts: OidcAttempts<Attempt>

  constructor(parts: OidcLoginParts) {
    this.#parts = parts
    this.#desk = new ProviderDesk(parts)
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
    const source = await this.#desk.source(name)
    const verifier = randomPKCECodeVerifier()
    const nonce = randomNonce()
    const state = randomState()
    const { secret, expiresAt } = this.#attempts.add(
      { source, redirectUri, verifier, nonce, state, identity: null },
      address,
    )
    try {
      const challenge = await calculatePKCECodeChallenge(verifier)
      const url = await this.#desk.ask(source, address, async (provider) =>
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
    return this.#desk.ask(source, address, async (provider) => {
      requireFrom(provider.serverMetadata().issuer, query)
      const url = new URL(redirectUri)
      url.search = query
      const tokens = await authorizationCodeGrant(provider, url, {
        pkceCodeVerifier: verifier,
        expectedNonce: nonce,
        expectedState: state,
        idTokenExpected: true,
      })
      return tokenIdentity(provider, config, tokens)
    })
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
