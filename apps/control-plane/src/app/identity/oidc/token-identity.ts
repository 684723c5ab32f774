import type { OidcConfig } from '@cryptvisor/control-plane-api'
import {
  type Configuration,
  fetchUserInfo,
  type TokenEndpointResponse,
  type TokenEndpointResponseHelpers,
} from 'openid-client'
import type { ExternalIdentity } from '../external-users.ts'
import { claimNames, identityOf } from './claims.ts'
import { NoIdTokenError } from './provider-failure.ts'

/** The scopes that are asked for, when the settings do not say. */
export const defaultScopes = ['openid', 'profile', 'email']

/**
 * Who somebody is by what the provider gave for their login; where the ID token says too little, by its user info. Throws
 * `not-logged-in` where the provider says too little, `NoIdTokenError`, and what openid-client does.
 */
export async function tokenIdentity(
  provider: Configuration,
  config: OidcConfig,
  tokens: TokenEndpointResponse & TokenEndpointResponseHelpers,
): Promise<ExternalIdentity> {
  const claims = tokens.claims()
  if (claims === undefined) throw new NoIdTokenError()
  const { nameClaim, groupsClaim } = claimNames(config)
  const isWhole = claims[nameClaim] !== undefined && claims[groupsClaim] !== undefined
  if (isWhole || provider.serverMetadata().userinfo_endpoint === undefined) return identityOf(config, claims)
  // What the ID token says goes before what is only said on a connection.
  const more = await fetchUserInfo(provider, tokens.access_token, claims.sub)
  return identityOf(config, { ...more, ...claims })
}
