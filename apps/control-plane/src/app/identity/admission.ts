import { randomBytes } from 'node:crypto'
import type { LoginAnswer } from '@cryptvisor/control-plane-api'
import type { IdentitySourceRow } from '../../database/identity-rows.ts'
import { addressGroup } from '../address-group.ts'
import type { Bearers } from '../bearers.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { forgetFailures, isLockedOut } from '../lock-out.ts'
import { type LoginFailures, missingCode, wrongCode } from '../login-failures.ts'
import { hashPassword } from '../password.ts'
import type { SecondFactors } from '../second-factor/second-factors.ts'
import { startSession } from '../session-start.ts'
import { type ExternalIdentity, putExternalUser } from './external-users.ts'

/** What admission works with. */
export interface AdmissionParts {
  readonly events: EventLog
  readonly bearers: Bearers
  readonly secondFactors: SecondFactors
  readonly failures: LoginFailures
  readonly clock: Clock
}

/** Lets users in whom an identity source vouches for, by the same rules as our own. */
export class Admission {
  readonly #parts: AdmissionParts

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /**
   * Begins a session. Throws `not-logged-in` when the source was changed since it was asked, for a name that cannot be, and
   * while locked out after wrong codes; `second-factor-required`.
   */
  async admit(
    source: IdentitySourceRow,
    identity: ExternalIdentity,
    address: string,
    code?: string,
  ): Promise<LoginAnswer> {
    const { events, bearers, secondFactors, failures, clock } = this.#parts
    // Nobody knows that password: the user logs in by the source alone.
    const passwordHash = await hashPassword(randomBytes(32).toString('base64'))
    const group = addressGroup(address)
    const outcome = await events.transaction(async (transaction, record) => {
      const now = await transaction
        .selectFrom('identity_source')
        .select(['config', 'enabled'])
        .where('name', '=', source.name)
        .executeTakeFirst()
      if (now === undefined || now.enabled === 0 || now.config !== source.config) {
        throw new ControlPlaneError('not-logged-in', `${source.name} was changed just now: log in again`)
      }
      const user = await putExternalUser(transaction, source.name, identity, passwordHash, clock())
      if (await isLockedOut(transaction, user, group, clock())) return { user, factor: 'locked' as const }
      const factor = await secondFactors.use(transaction, record, user, code)
      if (factor === 'missing' || factor === 'wrong') return { user, factor }
      await record({ type: 'user.login', text: `${user} logged in from ${address} by ${source.name}`, user })
      await forgetFailures(transaction, user, group)
      return startSession(transaction, bearers, user, address, clock())
    })
    if ('token' in outcome) return outcome
    if (outcome.factor === 'missing') throw missingCode()
    await failures.add(outcome.user, outcome.factor === 'locked', address)
    if (outcome.factor === 'wrong') throw wrongCode('second-factor-required')
    throw new ControlPlaneError('not-logged-in', 'after several wrong codes even the right one is refused for a while')
  }
}
