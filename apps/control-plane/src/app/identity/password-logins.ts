import type { LoginAnswer, LoginRequest } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Logins } from '../login.ts'
import type { LdapLogins } from './ldap/ldap-logins.ts'

/** Logins with a password: of users of our own, and, as NAME@SOURCE, of directories. */
export class PasswordLogins {
  readonly #database: Kysely<Schema>
  readonly #logins: Logins
  readonly #ldapLogins: LdapLogins

  constructor(database: Kysely<Schema>, logins: Logins, ldapLogins: LdapLogins) {
    this.#database = database
    this.#logins = logins
    this.#ldapLogins = ldapLogins
  }

  /** Throws as the logins of each kind do; a source that is none, or is switched off, is a wrong name. */
  async logIn({ user, source: given, password, code }: LoginRequest, address: string): Promise<LoginAnswer> {
    const name = given === undefined ? user : `${user}@${given}`
    const at = name.lastIndexOf('@')
    const source =
      at < 0
        ? undefined
        : await this.#database
            .selectFrom('identity_source')
            .selectAll()
            .where('name', '=', name.slice(at + 1).toLowerCase())
            .where('kind', '=', 'ldap')
            .where('enabled', '=', 1)
            .executeTakeFirst()
    if (source === undefined) return this.#logins.logIn(name, password, address, code)
    return this.#ldapLogins.logIn(source, name.slice(0, at), password, address, code)
  }
}
