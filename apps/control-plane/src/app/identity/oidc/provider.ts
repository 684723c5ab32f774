import type { OidcConfig } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  clockTolerance,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  None,
} from 'openid-client'
import { providerFetch } from './provider-fetch.ts'

/** How far our clock and the provider's may be apart. */
export const clockToleranceSeconds = 30

const timeoutSeconds = 10

/**
 * Asks a provider how it works (OpenID Connect Discovery), as the client that we are there. ID tokens count with a signature
 * of the provider alone, however they came. `secret` is used later, too; `null`: a public client. Throws what openid-client does.
 */
export function discoverProvider(config: OidcConfig, secret: Secret | null): Promise<Configuration> {
  const issuer = new URL(config.issuer)
  return discovery(
    issuer,
    config.clientId,
    { [clockTolerance]: clockToleranceSeconds },
    secret === null ? None() : secretAuthentication(secret),
    {
      [customFetch]: providerFetch(config.ca),
      timeout: timeoutSeconds,
      execute: [
        enableNonRepudiationChecks,
        // `checkOidcConfig` lets plain HTTP pass on this machine itself alone.
        ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : []),
      ],
    },
  )
}

/** By the way that the provider takes; RFC 6749, 2.3.1, has everybody take HTTP Basic. The library needs a string, which lives for one request. */
function secretAuthentication(secret: Secret): ClientAuth {
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    const by = methods.includes('client_secret_basic') ? ClientSecretBasic : ClientSecretPost
    secret.expose((bytes) => by(Buffer.from(bytes).toString('utf8'))(server, client, body, headers))
  }
}
