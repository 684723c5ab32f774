import type { Kysely } from 'kysely'
import type { Schema } from '../../../database/schema.ts'
import type { Clock } from '../../clock.ts'
import type { EventLog } from '../../events.ts'
import type { Log } from '../../log.ts'
import type { LoginFailures } from '../../login-failures.ts'
import type { Admission } from '../admission.ts'
import type { IdentitySources } from '../identity-sources.ts'
import { Directories } from './directory.ts'
import { LdapLogins } from './ldap-logins.ts'
import { LdapRecheck } from './ldap-recheck.ts'
import { LdapSourceTests } from './ldap-source-test.ts'
import { RecheckTimer } from './recheck-timer.ts'
import { SourceDesk } from './source-desk.ts'
import { SourceHealth } from './source-health.ts'
import { Verdicts } from './verdicts.ts'

/** A failed login by a directory takes as long at least; what a directory near by takes is well below. */
const failureMsUsual = 500

/** What the work with directories needs. */
export interface DirectoryParts {
  readonly database: Kysely<Schema>
  readonly events: EventLog
  readonly sources: IdentitySources
  readonly admission: Admission
  readonly failures: LoginFailures
  readonly clock: Clock
  readonly log: Log
  /** As `LdapLoginParts` has it. */
  readonly failureMsMin?: number
}

/** Everything that has to do with LDAP: logins, asking again about users, trying settings out. */
export class DirectoryPart {
  readonly logins: LdapLogins
  readonly recheck: LdapRecheck
  readonly tests: LdapSourceTests
  readonly #log: Log

  constructor({
    database,
    events,
    sources,
    admission,
    failures,
    clock,
    log,
    failureMsMin = failureMsUsual,
  }: DirectoryParts) {
    const desk = new SourceDesk(sources, new Directories(clock), new SourceHealth(events, clock))
    const verdicts = new Verdicts(events)
    this.logins = new LdapLogins({ database, desk, admission, verdicts, failures, clock, failureMsMin })
    this.recheck = new LdapRecheck({ database, desk, verdicts, clock })
    this.tests = new LdapSourceTests(database, sources, clock)
    this.#log = log
  }

  /** Asks directories about their users every quarter of an hour, until the answer is disposed of. */
  keepRechecking(): AsyncDisposable {
    return new RecheckTimer(this.recheck, Math.random, this.#log).start()
  }
}
