import type { IdentityRecheck } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import type { Clock } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { findSource, ldapConfigOf } from '../identity-source.ts'
import { findBySubject } from './account.ts'
import { externalNamesOf, groupsOf } from './account-groups.ts'
import { endsEverything, stateTexts } from './account-state.ts'
import { hasEntry, type LdapConnection } from './ldap-connection.ts'
import { AccountRefusal, LdapFailure } from './ldap-failure.ts'
import type { SourceDesk } from './source-desk.ts'
import type { Verdicts } from './verdicts.ts'

/** So many users of a source are asked about in one go; the others, who were confirmed later, in the next. */
export const usersPerRecheckMax = 2000

/** So many by one connection. */
const usersPerConnection = 100

/** What a re-check works with. */
export interface RecheckParts {
  readonly database: Kysely<Schema>
  readonly desk: SourceDesk
  readonly verdicts: Verdicts
  readonly clock: Clock
}

/** What a directory says of a user; `null` groups: they are gone, or may not log in, as `cause` says. */
interface Said {
  readonly user: string
  readonly askedAt: number
  readonly groups: readonly string[] | null
  readonly cause: string
  readonly isThere: boolean
}

/** Asks directories again about users who have a session or an API token. */
export class LdapRecheck {
  readonly #parts: RecheckParts

  constructor(parts: RecheckParts) {
    this.#parts = parts
  }

  /** The directories that are switched on. */
  async due(): Promise<string[]> {
    const rows = await this.#parts.database
      .selectFrom('identity_source')
      .select('name')
      .where('kind', '=', 'ldap')
      .where('enabled', '=', 1)
      .orderBy('name')
      .execute()
    return rows.map(({ name }) => name)
  }

  /**
   * Asks one directory about its users, and takes away what they have no more. Where it cannot be asked, or knows none of
   * several, nothing is taken from anybody. Throws `not-found`, `invalid` for another kind of source or one that is switched
   * off, `identity-source-failed`.
   */
  async recheck(name: string): Promise<IdentityRecheck> {
    const { database, verdicts } = this.#parts
    const source = await findSource(database, name)
    if (source.kind !== 'ldap' || source.enabled === 0) {
      throw new ControlPlaneError(
        'invalid',
        `${name} is no directory, or is switched off: there is nobody to ask about`,
      )
    }
    const users = await usersWithBearers(database, name)
    const said: Said[] = []
    do {
      const some = users.splice(0, usersPerConnection)
      said.push(...(await this.#askAbout(source, some, users.length === 0 ? said : [])))
    } while (users.length > 0)
    const ended: { user: string; cause: string }[] = []
    for (const { user, askedAt, groups, cause } of said) {
      const end =
        groups === null
          ? (await verdicts.end(source, user, cause, askedAt))
            ? cause
            : null
          : await verdicts.confirm(source, user, groups, askedAt)
      if (end !== null) ended.push({ user, cause: end })
    }
    return { checkedCount: said.length, ended }
  }

  #askAbout(
    source: IdentitySourceRow,
    users: readonly { readonly user_name: string; readonly subject: string }[],
    before: readonly Said[],
  ): Promise<Said[]> {
    return this.#parts.desk.ask(source, async (connection) => {
      await requireBase(connection, source)
      const said: Said[] = []
      for (const { user_name, subject } of users)
        said.push(await this.#askAboutOne(connection, source, user_name, subject))
      const all = [...before, ...said]
      if (all.length > 1 && all.every(({ isThere }) => !isThere)) {
        const message = `it knows none of its ${all.length} users any more: look at its user base, its filter and what the bind DN may see; nothing was taken from anybody`
        throw new LdapFailure('wrong', message)
      }
      return said
    })
  }

  async #askAboutOne(
    connection: LdapConnection,
    source: IdentitySourceRow,
    user: string,
    subject: string,
  ): Promise<Said> {
    const config = ldapConfigOf(source)
    const askedAt = this.#parts.clock()
    try {
      const account = await findBySubject(connection, config, subject, askedAt)
      if (account === null) return { user, askedAt, groups: null, cause: 'is gone', isThere: false }
      if (endsEverything(account.state)) {
        return { user, askedAt, groups: null, cause: stateTexts[account.state], isThere: true }
      }
      const groups = externalNamesOf(await groupsOf(connection, config, account))
      return { user, askedAt, groups, cause: '', isThere: true }
    } catch (error) {
      if (!(error instanceof AccountRefusal)) throw error
      throw new LdapFailure('wrong', `what it says of ${user} does not hold: ${error.message}`, { cause: error })
    }
  }
}

/** Where the base itself cannot be seen, that nobody is below it says nothing. */
async function requireBase(connection: LdapConnection, source: IdentitySourceRow): Promise<void> {
  if (await hasEntry(connection, ldapConfigOf(source).userBase)) return
  throw new LdapFailure('wrong', 'its user base is not there, or may not be seen')
}

async function usersWithBearers(database: Kysely<Schema>, source: string) {
  return database
    .selectFrom('external_user')
    .select(['user_name', 'subject'])
    .where('source_name', '=', source)
    .where(({ exists, selectFrom }) =>
      exists(selectFrom('bearer').select('bearer.id').whereRef('bearer.user_name', '=', 'external_user.user_name')),
    )
    .orderBy('checked_at')
    .limit(usersPerRecheckMax)
    .execute()
}
