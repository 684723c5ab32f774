import type { CreateIdentitySource } from '@cryptvisor/control-plane-api'
import type { IdentitySourceRow } from '../../database/identity-rows.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { checkLdapConfig } from './ldap/ldap-config-check.ts'
import { checkOidcConfig } from './source-check.ts'

/** The settings of a source, as they are kept, and where it is, in words. */
export interface SourceSettings extends Pick<IdentitySourceRow, 'kind' | 'config'> {
  readonly place: string
}

/** Checks what a source is to be: exactly one kind. Throws `invalid`, naming the field. */
export function checkSettings({ oidc, ldap }: Omit<CreateIdentitySource, 'name'>): SourceSettings {
  if (oidc !== undefined && ldap === undefined) {
    checkOidcConfig(oidc)
    return { kind: 'oidc', config: JSON.stringify(oidc), place: oidc.issuer }
  }
  if (ldap !== undefined && oidc === undefined) {
    checkLdapConfig(ldap)
    return { kind: 'ldap', config: JSON.stringify(ldap), place: ldap.servers.join(', ') }
  }
  throw new ControlPlaneError('invalid', 'oidc, ldap: give exactly one of them', { field: 'ldap' })
}
