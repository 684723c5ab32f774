import type { LdapConfig } from '@cryptvisor/control-plane-api'
import { hostOf, isLoopback } from '../../notifications/address-check.ts'

/** Where a server of a directory is, and how TLS begins there. */
export interface LdapServer {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly tls: 'at-once' | 'start-tls' | 'none'
}

/** Reads one of the addresses of a source; a text: what is wrong with it. Plain LDAP stays on this machine. */
export function ldapServerOf(text: string, { startTls = true }: Pick<LdapConfig, 'startTls'>): LdapServer | string {
  const url = URL.parse(text)
  if (url === null || !['ldaps:', 'ldap:'].includes(url.protocol) || url.hostname === '') {
    return 'expected the address of a directory, such as ldaps://dc1.example.org'
  }
  const isBare = ['', '/'].includes(url.pathname) && url.search === '' && url.hash === ''
  if (!isBare || url.username !== '' || url.password !== '') {
    return 'has more in it than host and port: give bases, filters and users by themselves'
  }
  const host = hostOf(url)
  const isSecure = url.protocol === 'ldaps:'
  const port = url.port === '' ? (isSecure ? 636 : 389) : Number(url.port)
  if (port === 0) return 'has the port 0'
  if (!isSecure && !startTls && !isLoopback(host)) {
    return 'passwords would be sent in the clear: ldaps://, or StartTLS; without is for this machine itself only'
  }
  return {
    url: `${url.protocol}//${url.host}`,
    host,
    port,
    tls: isSecure ? 'at-once' : startTls ? 'start-tls' : 'none',
  }
}

/** Of settings that were checked. */
export function ldapServersOf(config: LdapConfig): LdapServer[] {
  return config.servers.map((text) => ldapServerOf(text, config)).filter((server) => typeof server !== 'string')
}
