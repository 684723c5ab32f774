import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LdapConfig } from '@cryptvisor/control-plane-api'
import { checkLdapConfig } from './ldap-config-check.ts'

const good: LdapConfig = {
  preset: 'ad',
  servers: ['ldaps://dc1.example.org'],
  bindDn: 'cn=reader,dc=example,dc=org',
  userBase: 'dc=example,dc=org',
}

test('settings of a directory name the field that is wrong', () => {
  checkLdapConfig(good)
  checkLdapConfig({ ...good, bindDn: 'reader@example.org' })
  const { bindDn: _, ...nobody } = good
  checkLdapConfig({ ...nobody, anonymous: true })
  const cases: readonly (readonly [LdapConfig, string])[] = [
    [nobody, 'ldap.bindDn'],
    [{ ...nobody, anonymous: false }, 'ldap.bindDn'],
    [{ ...good, anonymous: true }, 'ldap.anonymous'],
    [{ ...good, bindDn: 'reader' }, 'ldap.bindDn'],
    [{ ...good, preset: 'openldap', bindDn: 'reader@example.org' }, 'ldap.bindDn'],
    [{ ...good, userBase: 'example.org' }, 'ldap.userBase'],
    [{ ...good, groupBase: 'ou=' }, 'ldap.groupBase'],
    [{ ...good, userFilter: 'objectClass=user' }, 'ldap.userFilter'],
    [{ ...good, groupFilter: '(&(a=b)' }, 'ldap.groupFilter'],
    [{ ...good, ca: 'no PEM' }, 'ldap.ca'],
    [{ ...good, servers: ['ldaps://dc1.example.org', 'https://dc2.example.org'] }, 'ldap.servers'],
    [{ ...good, servers: ['ldap://dc1.example.org'], startTls: false }, 'ldap.servers'],
    [{ ...good, servers: ['ldaps://169.254.169.254'] }, 'ldap.servers'],
    [{ ...good, servers: ['ldaps://[fe80::1]'] }, 'ldap.servers'],
  ]
  for (const [config, field] of cases) {
    assert.throws(() => checkLdapConfig(config), { code: 'invalid', field }, JSON.stringify(config))
  }
})
