import type {
  BeginDeviceLogin,
  DeviceLoginBegun,
  DeviceLoginState,
  FinishDeviceLogin,
} from '@cryptvisor/control-plane-api'
import { type Configuration, genericGrantRequest, initiateDeviceAuthorization, ResponseBodyError } from 'openid-client'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import { type Clock, timeText } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { hostOf, isLoopback } from '../../notifications/address-check.ts'
import type { Admission } from '../admission.ts'
import type { ExternalIdentity } from '../external-users.ts'
import { oidcConfigOf } from '../identity-source.ts'
import { attemptMs, OidcAttempts } from './oidc-attempts.ts'
import { ProviderDesk, type ProviderDeskParts } from './provider-desk.ts'
import { defaultScopes, tokenIdentity } from './token-identity.ts'

/** RFC 8628, 3.2 and 3.5. */
const intervalSecondsUsual = 5
const slowerSeconds = 5
const intervalSecondsMax = 60
const userCodeForm = /^[\w -]{1,40}$/
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** A login that was begun. */
interface Attempt {
  readonly source: IdentitySourceRow
  deviceCode: string
  intervalSeconds: number
  /** The provider is asked no earlier. */
  askAt: number
  /** Whoever logged in, where a code of the second factor has still to be given. */
  identity: ExternalIdentity | null
}

/** What these logins work with. */
export interface DeviceLoginParts extends ProviderDeskParts {
  readonly admission: Admission
  readonly clock: Clock
}

/**
 * Logins of a terminal without a browser (RFC 8628): the user opens an address anywhere and types a code there. Whoever
 * talks somebody into typing a code of theirs gets that user's session, so a source has to be told to allow it.
 */
export class DeviceLogins {
  readonly #parts: DeviceLoginParts
  readonly #desk: ProviderDesk
  readonly #attempts: OidcAttempts<Attempt>

  constructor(parts: DeviceLoginParts) {
    this.#parts = parts
    this.#desk = new ProviderDesk(parts)
    this.#attempts = new OidcAttempts(parts.clock)
  }

  /** Says what to open and what to type there. Throws `not-found`, `invalid` where the source does not allow it, `identity-source-failed`, `too-busy`. */
  async begin({ source: name }: BeginDeviceLogin, address: string): Promise<DeviceLoginBegun> {
    const source = await this.#desk.source(name)
    const config = oidcConfigOf(source)
    if (config.deviceLogins !== true) {
      const message = `${name} lets nobody log in by device: log in by a browser on this machine, or have an administrator allow it (identity-source set-oidc ${name} --device-logins)`
      throw new ControlPlaneError('invalid', message, { field: 'source' })
    }
    const attempt: Attempt = { source, deviceCode: '', intervalSeconds: intervalSecondsUsual, askAt: 0, identity: null }
    const { secret } = this.#attempts.add(attempt, address)
    try {
      const { clock } = this.#parts
      const scope = (config.scopes ?? defaultScopes).join(' ')
      const answer = await this.#desk.ask(source, address, async (provider) => {
        requireDevices(provider, name)
        return initiateDeviceAuthorization(provider, { scope })
      })
      const verificationUri = shownUri(answer.verification_uri, name)
      if (!userCodeForm.test(answer.user_code)) throw wrongAnswer(name)
      attempt.deviceCode = answer.device_code
      attempt.intervalSeconds = Math.min(Math.max(1, answer.interval ?? intervalSecondsUsual), intervalSecondsMax)
      attempt.askAt = clock() + attempt.intervalSeconds * 1000
      return {
        attempt: secret,
        verificationUri,
        userCode: answer.user_code,
        expiresAt: timeText(clock() + Math.min(attemptMs, Math.max(0, answer.expires_in) * 1000)),
        intervalSeconds: attempt.intervalSeconds,
      }
    } catch (error) {
      this.#attempts.remove(secret)
      throw error
    }
  }

  /**
   * Makes a session when the user has logged in meanwhile, else says when to ask again. Throws `not-logged-in`,
   * `second-factor-required` (then it can be finished again, with a code), `identity-source-failed`, `too-busy`.
   */
  async finish({ attempt: secret, code }: FinishDeviceLogin, address: string): Promise<DeviceLoginState> {
    const attempt = this.#attempts.find(secret)
    if (attempt === null) {
      throw new ControlPlaneError('not-logged-in', 'this login took too long, is over, or is unknown: begin again')
    }
    try {
      attempt.identity ??= await this.#ask(attempt, address)
      if (attempt.identity === null) return { login: null, retryAfterSeconds: attempt.intervalSeconds }
      const login = await this.#parts.admission.admit(attempt.source, attempt.identity, address, code)
      this.#attempts.remove(secret)
      return { login, retryAfterSeconds: 0 }
    } catch (error) {
      const again = error instanceof ControlPlaneError && error.code === 'second-factor-required'
      if (again) this.#attempts.keep(secret, attempt, address)
      else this.#attempts.remove(secret)
      throw error
    }
  }

  /** `null`: the user has not logged in yet, or the provider was asked just now. */
  async #ask(attempt: Attempt, address: string): Promise<ExternalIdentity | null> {
    const now = this.#parts.clock()
    if (now < attempt.askAt) return null
    attempt.askAt = now + attempt.intervalSeconds * 1000
    return this.#desk.ask(attempt.source, address, async (provider) => {
      try {
        const tokens = await genericGrantRequest(provider, deviceGrant, { device_code: attempt.deviceCode })
        return await tokenIdentity(provider, oidcConfigOf(attempt.source), tokens)
      } catch (error) {
        if (!(error instanceof ResponseBodyError)) throw error
        if (error.error === 'slow_down') {
          attempt.intervalSeconds = Math.min(attempt.intervalSeconds + slowerSeconds, intervalSecondsMax)
          return null
        }
        if (error.error === 'authorization_pending') return null
        throw error
      }
    })
  }
}

function requireDevices(provider: Configuration, name: string): void {
  if (provider.serverMetadata().device_authorization_endpoint !== undefined) return
  throw new ControlPlaneError('identity-source-failed', `the provider of ${name} has no logins by device (RFC 8628)`)
}

/** A user is sent nowhere but to https. */
function shownUri(text: string, name: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(hostOf(url)))) return url.href
  throw wrongAnswer(name)
}

const wrongAnswer = (name: string) =>
  new ControlPlaneError('identity-source-failed', `the provider of ${name} names no address and code that can be shown`)
