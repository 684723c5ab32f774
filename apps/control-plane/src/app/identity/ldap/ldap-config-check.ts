import type { LdapConfig } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { isRefusedAddress } from '../../notifications/address-check.ts'
import { certificatesOf } from '../../pem.ts'
import { parseDn } from './distinguished-name.ts'
import { ldapServerOf } from './ldap-server.ts'
import { parseFilter } from './search-filter.ts'

/** Checks the settings of a directory. Throws `invalid`, naming the field. */
export function checkLdapConfig(config: LdapConfig): void {
  for (const text of config.servers) {
    const server = ldapServerOf(text, config)
    if (typeof server === 'string') throw invalid('ldap.servers', server)
    if (isRefusedAddress(server.host)) {
      const message = `nothing is asked of ${server.host}: link-local, multicast and unspecified addresses are refused`
      throw invalid('ldap.servers', message)
    }
  }
  if (config.ca !== undefined) certificatesOf('ldap.ca', config.ca)
  const { bindDn, anonymous = false } = config
  if (bindDn === undefined && !anonymous) {
    throw invalid('ldap.bindDn', 'is missing: give the account that may search users and groups, or say «anonymous»')
  }
  if (bindDn !== undefined && anonymous) throw invalid('ldap.anonymous', 'there is a bindDn: leave one of them out')
  for (const field of ['userBase', 'groupBase'] as const) {
    const text = config[field]
    if (text !== undefined && parseDn(text) === null) {
      throw invalid(`ldap.${field}`, 'expected a distinguished name, such as ou=people,dc=example,dc=org')
    }
  }
  // Active Directory takes NAME@DOMAIN there, too.
  const isPrincipalName = config.preset === 'ad' && /^[^@\s]+@[^@\s]+$/.test(bindDn ?? '')
  if (bindDn !== undefined && !isPrincipalName && parseDn(bindDn) === null) {
    throw invalid('ldap.bindDn', 'expected a distinguished name, such as cn=cryptvisor,ou=services,dc=example,dc=org')
  }
  for (const field of ['userFilter', 'groupFilter'] as const) {
    const text = config[field]
    if (text !== undefined && parseFilter(text) === null) {
      throw invalid(`ldap.${field}`, 'expected a filter in parentheses (RFC 4515), such as (objectClass=person)')
    }
  }
}

const invalid = (field: string, message: string) => new ControlPlaneError('invalid', `${field}: ${message}`, { field })
