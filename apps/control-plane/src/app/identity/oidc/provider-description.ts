import type { OidcConfig } from '@cryptvisor/control-plane-api'
import type { Configuration } from 'openid-client'
import { claimNames } from './claims.ts'

/** A provider is tried out, and something does not work, for a reason that the text says. */
export class ProviderTestFailure extends Error {}

/** What a provider says of itself. Throws `ProviderTestFailure` where a login needs more; tells of what may be missing. */
export function describeProvider(provider: Configuration, config: OidcConfig): string {
  const { scopes = [] } = config
  const { nameClaim, groupsClaim } = claimNames(config)
  const server = provider.serverMetadata()
  need(provider, 'authorization_endpoint')
  need(provider, 'token_endpoint')
  const { response_types_supported: types, code_challenge_methods_supported: methods } = server
  if (types !== undefined && !types.includes('code')) {
    throw new ProviderTestFailure(
      'it has no authorization code flow (response type code): switch it on for our client there',
    )
  }
  const algorithms = server.id_token_signing_alg_values_supported ?? []
  if (algorithms.length > 0 && algorithms.every((each) => each === 'none' || each.startsWith('HS'))) {
    throw new ProviderTestFailure('it signs ID tokens by no key pair: switch RS256 or ES256 on there')
  }
  const missing = (wanted: readonly string[], known: readonly string[] | undefined) =>
    known === undefined ? [] : wanted.filter((each) => !known.includes(each))
  const notes = [
    ...(methods === undefined || methods.includes('S256') ? [] : ['it does not say that it knows PKCE (S256)']),
    ...missing(scopes, server.scopes_supported).map((each) => `it does not list the scope ${each}`),
    ...missing([nameClaim, groupsClaim], server.claims_supported).map((each) => `it does not list the claim ${each}`),
    ...(server.device_authorization_endpoint === undefined ? [] : ['it has logins by device (--device)']),
  ]
  return [`issuer ${server.issuer}`, ...notes].join('; ')
}

/** Where something is. Throws `ProviderTestFailure` where the provider does not say. */
export function need(provider: Configuration, field: 'jwks_uri' | 'authorization_endpoint' | 'token_endpoint'): string {
  const url = provider.serverMetadata()[field]
  if (url === undefined)
    throw new ProviderTestFailure(`its description has no ${field}: it is no OpenID Connect provider`)
  return url
}

/** What is in a provider's key set. Throws `ProviderTestFailure` where there is no public key. */
export function describeKeys(answer: unknown): string {
  const { keys } = (typeof answer === 'object' && answer !== null ? answer : {}) as { readonly keys?: unknown }
  const list: readonly unknown[] = Array.isArray(keys) ? keys : []
  const pairs = list.filter((each) => {
    const { kty, use } = (typeof each === 'object' && each !== null ? each : {}) as Record<string, unknown>
    return kty !== 'oct' && (use === undefined || use === 'sig')
  })
  if (pairs.length === 0) throw new ProviderTestFailure('it has no public key to check ID tokens by')
  return `${pairs.length} public keys`
}
