import type { LoginRule, NewSecondFactor, RecoveryCodes, SecondFactorState } from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import type { Kysely, Transaction } from 'kysely'
import type { SecondFactorRow } from '../../database/login-rows.ts'
import type { Schema } from '../../database/schema.ts'
import type { Caller } from '../bearers.ts'
import { type Clock, timeTextOrNull } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog, RecordEvent } from '../events.ts'
import { noteAccountAct } from '../permissions/account-acts.ts'
import { requireCoversUser } from '../permissions/delegation.ts'
import type { Principal } from '../ports.ts'
import { toBase32 } from './base32.ts'
import { needsSecondFactor, readLoginRule } from './login-rule.ts'
import { newRecoveryCodes, recoveryCodeHash } from './recovery-codes.ts'
import { stepOf, totpSecretSizeBytes, totpUri } from './totp.ts'

/** Codes of authenticators (TOTP, RFC 6238) beside the password, with recovery codes for whoever lost theirs. */
export class SecondFactors {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #barrier: Barrier
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, barrier: Barrier, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#barrier = barrier
    this.#clock = clock
  }

  /** That of `caller`. */
  async state({ name, grants }: Caller): Promise<SecondFactorState> {
    const row = await find(this.#database, name)
    const codes = await this.#database
      .selectFrom('recovery_code')
      .select('code_sha256')
      .where('user_name', '=', name)
      .execute()
    return {
      confirmedAt: timeTextOrNull(row?.confirmed_at ?? null),
      recoveryCodesLeft: codes.length,
      required: needsSecondFactor(await readLoginRule(this.#database), grants),
    }
  }

  /**
   * Makes a secret, which counts from `confirm` on; one that was begun before is forgotten. Throws `already-exists`, `invalid`
   * for an API token.
   */
  async enroll(caller: Caller): Promise<NewSecondFactor> {
    requireSession(caller)
    using secret = Secret.random(totpSecretSizeBytes)
    const created_at = this.#clock()
    const values = {
      sealed_secret: this.#barrier.seal(contextOf(caller.name, created_at), secret),
      confirmed_at: null,
      last_step: 0,
      created_at,
    }
    await this.#database.transaction().execute(async (transaction) => {
      if ((await find(transaction, caller.name))?.confirmed_at != null) {
        throw new ControlPlaneError('already-exists', 'you have a second factor already: take it off first')
      }
      await transaction
        .insertInto('second_factor')
        .values({ user_name: caller.name, ...values })
        .onConflict((conflict) => conflict.column('user_name').doUpdateSet(values))
        .execute()
    })
    return secret.expose((bytes) => ({ uri: totpUri(bytes, caller.name), secret: toBase32(bytes) }))
  }

  /**
   * Logins need a code from now on; other sessions of `caller`, which were begun without, end. Throws `invalid` for a wrong
   * code, and where nothing was begun.
   */
  async confirm(caller: Caller, code: string): Promise<RecoveryCodes> {
    requireSession(caller)
    const recoveryCodes = newRecoveryCodes()
    await this.#events.transaction(async (transaction, record) => {
      const row = await find(transaction, caller.name)
      if (row === undefined || row.confirmed_at !== null) {
        throw new ControlPlaneError('invalid', 'there is nothing to confirm: begin with `user totp enroll`')
      }
      const step = this.#stepOf(row, code)
      if (step === null) {
        const message = 'code: it is not the one of now: check the clock of your authenticator, and try the next code'
        throw new ControlPlaneError('invalid', message, { field: 'code' })
      }
      await transaction
        .updateTable('second_factor')
        .set({ confirmed_at: this.#clock(), last_step: step })
        .where('user_name', '=', caller.name)
        .execute()
      const rows = recoveryCodes.map((each) => ({ user_name: caller.name, code_sha256: recoveryCodeHash(each) ?? '' }))
      await transaction.insertInto('recovery_code').values(rows).execute()
      await endSessions(transaction, caller.name, caller.bearer.id)
      await record(changed(`${caller.name} logs in with a second factor from now on`, caller.name))
    })
    return { recoveryCodes }
  }

  /**
   * Whether `code` counts for `user` now; then it, and every older one, does not count again. `none`: the user has no second
   * factor, and needs no code.
   */
  async use(
    transaction: Transaction<Schema>,
    record: RecordEvent,
    user: string,
    code: string | undefined,
  ): Promise<'none' | 'missing' | 'wrong' | 'right'> {
    const row = await find(transaction, user)
    if (row === undefined || row.confirmed_at === null) return 'none'
    if (code === undefined) return 'missing'
    const step = this.#stepOf(row, code.replaceAll(/\s/g, ''))
    if (step !== null) {
      await transaction.updateTable('second_factor').set({ last_step: step }).where('user_name', '=', user).execute()
      return 'right'
    }
    const hash = recoveryCodeHash(code)
    if (hash === null) return 'wrong'
    const { numDeletedRows } = await transaction
      .deleteFrom('recovery_code')
      .where('user_name', '=', user)
      .where('code_sha256', '=', hash)
      .executeTakeFirst()
    if (numDeletedRows === 0n) return 'wrong'
    await record(changed(`${user} used a recovery code in place of a second factor`, user))
    return 'right'
  }

  /** Takes it off, after a code of it was used. */
  async disable(transaction: Transaction<Schema>, record: RecordEvent, user: string): Promise<void> {
    await removeSecondFactor(transaction, user)
    await record(changed(`${user} logs in without a second factor from now on`, user))
  }

  /** For whoever lost theirs: logins need no code any more; sessions end. Throws `not-found`, `no-privilege`. */
  async reset(user: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await transaction.selectFrom('user').select('name').where('name', '=', user).executeTakeFirst()
      if (row === undefined) throw new ControlPlaneError('not-found', `there is no user ${user}`)
      await requireCoversUser(transaction, by, user)
      if (!(await removeSecondFactor(transaction, user))) {
        throw new ControlPlaneError('not-found', `${user} has no second factor`)
      }
      await endSessions(transaction, user)
      await noteAccountAct(transaction, { user, by: by.name, act: 'second-factor', at: this.#clock() })
      await record(changed(`the second factor of ${user} was reset`, by.name))
    })
  }

  /** Who needs one. */
  rule(): Promise<LoginRule> {
    return readLoginRule(this.#database)
  }

  /** Counts at once, in open sessions too. Throws `invalid` where it would be about `by`, who has none. */
  async setRule(rule: LoginRule, by: Caller): Promise<LoginRule> {
    const { secondFactor } = rule
    await this.#events.transaction(async (transaction, record) => {
      if (needsSecondFactor(rule, by.grants) && (await find(transaction, by.name))?.confirmed_at == null) {
        const message = 'secondFactor: you would need one yourself, and have none: begin with `user totp enroll`'
        throw new ControlPlaneError('invalid', message, { field: 'secondFactor' })
      }
      await transaction
        .insertInto('login_rule')
        .values({ id: 1, second_factor: secondFactor })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ second_factor: secondFactor }))
        .execute()
      await record(changed(`a second factor is required of ${secondFactor} now`, by.name))
    })
    return rule
  }

  #stepOf(row: SecondFactorRow, code: string): number | null {
    using secret = this.#barrier.unseal(contextOf(row.user_name, row.created_at), row.sealed_secret)
    return secret.expose((bytes) => stepOf(bytes, code, this.#clock(), row.last_step))
  }
}

const changed = (text: string, user: string) => ({ type: 'user.second-factor-changed', text, user }) as const

const contextOf = (user: string, createdAt: number) => ({ type: 'TOTP secret', user, createdAt })

const find = (database: Kysely<Schema>, user: string): Promise<SecondFactorRow | undefined> =>
  database.selectFrom('second_factor').selectAll().where('user_name', '=', user).executeTakeFirst()

/** Forgets a second factor with its recovery codes. Whether there was one. */
export async function removeSecondFactor(transaction: Transaction<Schema>, user: string): Promise<boolean> {
  const { numDeletedRows } = await transaction
    .deleteFrom('second_factor')
    .where('user_name', '=', user)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

async function endSessions(transaction: Transaction<Schema>, user: string, butId = ''): Promise<void> {
  await transaction
    .deleteFrom('bearer')
    .where('user_name', '=', user)
    .where('kind', '=', 'session')
    .where('id', '!=', butId)
    .execute()
}

function requireSession({ bearer }: Caller): void {
  if (bearer.kind === 'session') return
  throw new ControlPlaneError('invalid', 'an API token has no second factor: log in with your password')
}
