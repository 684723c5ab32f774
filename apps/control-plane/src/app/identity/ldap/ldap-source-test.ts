import type { IdentitySourceTest, LdapConfig, TestedUser } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import type { Clock } from '../../clock.ts'
import { mappedGroups, userOfSubject } from '../external-users.ts'
import { ldapConfigOf } from '../identity-source.ts'
import type { IdentitySources } from '../identity-sources.ts'
import { type Account, findByName } from './account.ts'
import { externalNamesOf, groupsOf } from './account-groups.ts'
import { stateTexts } from './account-state.ts'
import { bindAsOurselves } from './directory.ts'
import { isKnownByHand } from './known-by-hand.ts'
import { hasEntry, LdapConnection } from './ldap-connection.ts'
import { AccountRefusal, LdapFailure } from './ldap-failure.ts'
import { type LdapServer, ldapServersOf } from './ldap-server.ts'

type Step = IdentitySourceTest['steps'][number]

const tlsTexts = {
  'at-once': 'TLS, certificate and host name checked',
  'start-tls': 'StartTLS, certificate and host name checked',
  none: 'plain LDAP on this machine',
} as const

/** Tries every server of a directory, and says what the first that works says of a user. It changes nothing. */
export class LdapSourceTests {
  readonly #database: Kysely<Schema>
  readonly #sources: IdentitySources
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, sources: IdentitySources, clock: Clock) {
    this.#database = database
    this.#sources = sources
    this.#clock = clock
  }

  async test(source: IdentitySourceRow, name: string | undefined): Promise<IdentitySourceTest> {
    const config = ldapConfigOf(source)
    using secret = this.#sources.openSecret(source)
    const steps: Step[] = []
    let first: LdapServer | null = null
    for (const server of ldapServersOf(config)) {
      const step = await this.#tryServer(server, config, secret)
      steps.push(step)
      if (step.works) first ??= server
    }
    if (name === undefined || first === null) return { works: first !== null, steps, user: null }
    const { step, user } = await this.#tryUser(first, source, secret, name)
    return { works: user?.canLogIn === true, steps: [...steps, step], user }
  }

  async #tryServer(server: LdapServer, config: LdapConfig, secret: Secret | null): Promise<Step> {
    const done: string[] = []
    try {
      await using connection = await LdapConnection.open(server, config.ca)
      done.push(tlsTexts[server.tls])
      await bindAsOurselves(connection, config, secret)
      done.push(config.bindDn === undefined ? 'asked as nobody' : 'bind DN and password taken')
      for (const base of new Set([config.userBase, config.groupBase ?? config.userBase])) {
        if (!(await hasEntry(connection, base)))
          throw new LdapFailure('wrong', `${base} is not there, or may not be seen`)
        done.push(`${base} is there`)
      }
      return { name: server.url, works: true, text: done.join('; ') }
    } catch (error) {
      if (!(error instanceof LdapFailure)) throw error
      return { name: server.url, works: false, text: [...done, error.message].join('; ') }
    }
  }

  async #tryUser(
    server: LdapServer,
    source: IdentitySourceRow,
    secret: Secret | null,
    name: string,
  ): Promise<{ readonly step: Step; readonly user: TestedUser | null }> {
    const config = ldapConfigOf(source)
    const label = `user ${name}`
    try {
      await using connection = await LdapConnection.open(server, config.ca)
      await bindAsOurselves(connection, config, secret)
      const account = await findByName(connection, config, name, this.#clock())
      if (account === null) {
        const text = `there is no such user below ${config.userBase}: look at the base, the filter and the attribute of the name`
        return { step: { name: label, works: false, text }, user: null }
      }
      const user = await this.#userOf(connection, source, account, name)
      return { step: { name: label, works: true, text: account.dn }, user }
    } catch (error) {
      if (!(error instanceof LdapFailure || error instanceof AccountRefusal)) throw error
      return { step: { name: label, works: false, text: error.message }, user: null }
    }
  }

  async #userOf(
    connection: LdapConnection,
    source: IdentitySourceRow,
    account: Account,
    name: string,
  ): Promise<TestedUser> {
    const found = await groupsOf(connection, ldapConfigOf(source), account)
    const groups = await Promise.all(
      found.map(async (group) => ({
        ...group,
        mappedTo: await mappedGroups(this.#database, source.name, externalNamesOf([group])),
      })),
    )
    const known = await userOfSubject(this.#database, source.name, account.subject)
    const own = `${name.toLowerCase()}@${source.name}`
    const other = await this.#database
      .selectFrom('external_user')
      .select('subject')
      .where('user_name', '=', own)
      .executeTakeFirst()
    const isHeir = known === null && other !== undefined
    const isMapped = groups.some(({ mappedTo }) => mappedTo.length > 0)
    const belongs = isMapped || (known !== null && (await isKnownByHand(this.#database, known)))
    const problem = isHeir
      ? `${own} is another account of the directory: remove that user first (cryptvisor user remove ${own})`
      : account.state !== 'open'
        ? `the user ${stateTexts[account.state]}`
        : belongs
          ? null
          : 'none of these groups is mapped to one here: cryptvisor identity-source map-group'
    return {
      name: known ?? (isHeir ? null : own),
      dn: account.dn,
      subject: account.subject,
      state: stateTexts[account.state],
      groups,
      canLogIn: problem === null,
      problem,
    }
  }
}
