import type { OidcConfig } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../control-plane-error.ts'
import { hostOf, isLoopback, isRefusedAddress } from '../notifications/address-check.ts'
import { certificatesOf } from '../pem.ts'

/** Checks where a provider is. Throws `invalid`, naming the field. */
export function checkOidcConfig({ issuer, ca }: OidcConfig): void {
  const url = URL.parse(issuer)
  const host = url === null ? '' : hostOf(url)
  if (url === null || !['https:', 'http:'].includes(url.protocol)) {
    throw invalid('oidc.issuer', 'expected the address of a provider, such as https://login.example.org')
  }
  if (url.protocol === 'http:' && !isLoopback(host)) {
    throw invalid('oidc.issuer', 'expected https; http is for this machine itself only')
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw invalid(
      'oidc.issuer',
      'has a user, a query or a fragment in it, which no issuer has (OpenID Connect Core, 2)',
    )
  }
  if (host === 'login.microsoftonline.com' && /^\/(common|organizations|consumers)\b/.test(url.pathname)) {
    const next = 'https://login.microsoftonline.com/TENANT-ID/v2.0'
    throw invalid('oidc.issuer', `it vouches for users of every tenant: give the issuer of one tenant, ${next}`)
  }
  if (isRefusedAddress(host)) {
    throw invalid(
      'oidc.issuer',
      `nothing is asked of ${host}: link-local, multicast and unspecified addresses are refused`,
    )
  }
  if (ca !== undefined) certificatesOf('oidc.ca', ca)
}

const invalid = (field: string, message: string) => new ControlPlaneError('invalid', `${field}: ${message}`, { field })
