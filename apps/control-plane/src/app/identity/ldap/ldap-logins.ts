import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { LdapConfig, LoginAnswer } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import { addressGroup } from '../../address-group.ts'
import type { Clock } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { isLockedOut } from '../../lock-out.ts'
import { type LoginFailures, wrongLogin } from '../../login-failures.ts'
import { Turns } from '../../turns.ts'
import type { Admission } from '../admission.ts'
import { mappedGroups, userOfSubject } from '../external-users.ts'
import { ldapConfigOf } from '../identity-source.ts'
import { type Account, findByName } from './account.ts'
import { externalNamesOf, groupsOf, type LdapGroup } from './account-groups.ts'
import { stateTexts } from './account-state.ts'
import { isKnownByHand } from './known-by-hand.ts'
import type { LdapConnection } from './ldap-connection.ts'
import { AccountRefusal } from './ldap-failure.ts'
import { NameLockOuts } from './name-lock-outs.ts'
import type { SourceDesk } from './source-desk.ts'
import type { Verdicts } from './verdicts.ts'

/** So many directories are asked at once, and each user once. */
const asksAtOnceMax = 8

/** What users may be called here; anything else is asked of nobody, so that no two spellings are one user. */
const nameForm = /^[a-z0-9][a-z0-9._@-]*$/

/** What these logins work with. */
export interface LdapLoginParts {
  readonly database: Kysely<Schema>
  readonly desk: SourceDesk
  readonly admission: Admission
  readonly verdicts: Verdicts
  readonly failures: LoginFailures
  readonly clock: Clock
  /** A login that fails takes as long at least, so that it does not show how far it came. */
  readonly failureMsMin: number
}

/** What a directory said of a name and a password. */
type Shown =
  | {
      readonly isIn: true
      readonly user: string | null
      readonly account: Account
      readonly groups: readonly LdapGroup[]
    }
  | { readonly isIn: false; readonly user: string | null; readonly isLocked: boolean; readonly cause: string }

/** Logins of users of directories, with the password that they have there. It is tried there once, and kept nowhere. */
export class LdapLogins {
  readonly #parts: LdapLoginParts
  readonly #names: NameLockOuts
  readonly #turns = new Turns(asksAtOnceMax)

  constructor(parts: LdapLoginParts) {
    this.#parts = parts
    this.#names = new NameLockOuts(parts.clock)
  }

  /**
   * Begins a session for whoever asks from `address`. Throws `not-logged-in`, with one text and after the same work whether
   * there is no such user, they are locked, or the password is another; `second-factor-required`, `identity-source-failed`,
   * `too-busy`.
   */
  async logIn(
    source: IdentitySourceRow,
    given: string,
    password: string,
    address: string,
    code?: string,
  ): Promise<LoginAnswer> {
    const name = given.toLowerCase()
    // Directories take a bind without a password for one of nobody, which succeeds (RFC 4513, 5.1.2): they are not asked.
    if (password === '' || !nameForm.test(name)) throw wrongLogin()
    const group = addressGroup(address)
    return this.#turns.take(`${name}@${source.name}`, group, async () => {
      const begun = performance.now()
      try {
        return await this.#tryLogIn(source, name, password, address, code)
      } catch (error) {
        const left = begun + this.#parts.failureMsMin - performance.now()
        if (left > 0) await setTimeout(left)
        throw error
      }
    })
  }

  async #tryLogIn(
    source: IdentitySourceRow,
    name: string,
    password: string,
    address: string,
    code: string | undefined,
  ): Promise<LoginAnswer> {
    const { database, desk, admission, verdicts, failures, clock } = this.#parts
    const group = addressGroup(address)
    const key = `${name}@${source.name}`
    const askedAt = clock()
    const shown = await desk.ask(source, (connection) => this.#show(connection, source, name, password, group))
    if (!shown.isIn) {
      const { user, isLocked, cause } = shown
      if (user !== null) await failures.add(user, isLocked, address, cause)
      else {
        if (!isLocked) this.#names.count(key, group)
        await failures.addAt(source.name, cause, address)
      }
      throw wrongLogin()
    }
    const { user, account } = shown
    const groups = externalNamesOf(shown.groups)
    const mapped = await mappedGroups(database, source.name, groups)
    if (mapped.length === 0 && (user === null || !(await isKnownByHand(database, user)))) {
      if (user !== null) await verdicts.end(source, user, 'is in no group any more that is mapped to one here', askedAt)
      await failures.addAt(source.name, 'the user is in no group that is mapped to one here', address)
      const message = `you are in no group of ${source.name} that may do anything here: an administrator has to map one (cryptvisor identity-source map-group)`
      throw new ControlPlaneError('not-logged-in', message)
    }
    this.#names.forget(key, group)
    // One of the entry's names is the one that was asked for.
    const canonical = account.names.find((each) => each.toLowerCase() === name) ?? name
    try {
      return await admission.admit(source, { subject: account.subject, name: canonical, groups }, address, code)
    } catch (error) {
      if (error instanceof ControlPlaneError && error.code === 'not-logged-in') {
        await failures.addAt(source.name, error.message, address)
      }
      throw error
    }
  }

  /** Looks for the user and tries the password. The directory is asked the same, as often, whatever comes of it. */
  async #show(
    connection: LdapConnection,
    source: IdentitySourceRow,
    name: string,
    password: string,
    group: string,
  ): Promise<Shown> {
    const { database, clock } = this.#parts
    const config = ldapConfigOf(source)
    const { account, cause: missing } = await look(connection, config, name, clock())
    const user = account === null ? null : await userOfSubject(database, source.name, account.subject)
    const isLocked =
      user === null
        ? this.#names.isLockedOut(`${name}@${source.name}`, group)
        : await isLockedOut(database, user, group, clock())
    const refusal = missing ?? (isLocked ? 'it is locked out from there' : causeOf(account))
    const tried = refusal === null && account !== null ? account : nobodyIn(config, name)
    const groups = await groupsOf(connection, config, tried)
    const { isIn, why } = await connection.bind(tried.dn, password)
    if (refusal !== null || account === null || !isIn) {
      return { isIn: false, user, isLocked, cause: refusal ?? why ?? 'the directory does not take the password' }
    }
    return { isIn: true, user, account, groups }
  }
}

async function look(
  connection: LdapConnection,
  config: LdapConfig,
  name: string,
  now: number,
): Promise<{ readonly account: Account | null; readonly cause: string | null }> {
  try {
    const account = await findByName(connection, config, name, now)
    return { account, cause: account === null ? 'there is no such user' : null }
  } catch (error) {
    if (error instanceof AccountRefusal) return { account: null, cause: error.message }
    throw error
  }
}

const causeOf = (account: Account | null) =>
  account === null || account.state === 'open' ? null : `the user ${stateTexts[account.state]} there`

/** Stands in for a user whose password is not to be tried: nobody has this name. */
function nobodyIn({ userBase }: LdapConfig, name: string): Account {
  return { dn: `cn=${randomUUID()},${userBase}`, subject: '', names: [name], state: 'open', memberOf: [] }
}
