import type {
  ChangeIdentitySource,
  CreateIdentitySource,
  IdentitySource,
  LoginSource,
} from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely, Transaction } from 'kysely'
import type { AccountAct } from '../../database/account-act-rows.ts'
import type { IdentitySourceRow } from '../../database/identity-rows.ts'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { accountsOfSource, noteAccountAct } from '../permissions/account-acts.ts'
import type { Principal } from '../ports.ts'
import { orExists } from '../unique.ts'
import { usersOfSource } from './external-users.ts'
import { findSource, openSourceSecret, secretContextOf, viewSource } from './identity-source.ts'
import { requireCoversSource } from './source-coverage.ts'
import { checkSettings } from './source-settings.ts'

/** How many sources there are at most. */
export const sourcesMax = 20

/** How many days after a source confirmed a user last their API tokens work, when nobody says. */
const confirmDaysUsual = 30

/** Where users come from that are not our own. Secrets lie sealed and are shown to nobody. */
export class IdentitySources {
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

  /** By name. */
  async list(): Promise<IdentitySource[]> {
    const rows = await this.#database.selectFrom('identity_source').selectAll().orderBy('name').execute()
    return Promise.all(rows.map((row) => viewSource(this.#database, row)))
  }

  /** Throws `not-found`. */
  async show(name: string): Promise<IdentitySource> {
    return viewSource(this.#database, await findSource(this.#database, name))
  }

  /** Those that one can log in by now; for everybody. */
  async forLogin(): Promise<LoginSource[]> {
    const rows = await this.#database
      .selectFrom('identity_source')
      .select(['name', 'kind'])
      .where('enabled', '=', 1)
      .orderBy('name')
      .execute()
    return rows
  }

  /** Throws `invalid`, `already-exists`; `in-use` while a user of our own has a name that one of its users could have. */
  async create(
    { name, confirmDays = confirmDaysUsual, ...settings }: CreateIdentitySource,
    by: Principal,
  ): Promise<IdentitySource> {
    const { kind, config, place } = checkSettings(settings)
    const row: IdentitySourceRow = {
      name,
      kind,
      config,
      secret_sealed: null,
      enabled: 1,
      confirm_days: confirmDays,
      failed_at: null,
      failure: null,
      created_at: this.#clock(),
    }
    await orExists('name', `there is an identity source ${name} already: choose another name`, () =>
      this.#events.transaction(async (transaction, record) => {
        const sources = await transaction.selectFrom('identity_source').select('name').execute()
        if (sources.length >= sourcesMax) {
          throw new ControlPlaneError('in-use', `there are ${sourcesMax} identity sources already: remove one first`)
        }
        await requireNoUserOf(transaction, name)
        await transaction.insertInto('identity_source').values(row).execute()
        await this.#noteAct(transaction, name, 'made', by)
        await record(changed(`users of ${place} can log in as NAME@${name}`, by))
      }),
    )
    return viewSource(this.#database, row)
  }

  /** A secret that it had is for what was before, and is gone with other ones. Throws `not-found`, `invalid`, `no-privilege`. */
  async change(name: string, change: ChangeIdentitySource, by: Principal): Promise<IdentitySource> {
    const { enabled, confirmDays, ...given } = change
    const settings = given.oidc === undefined && given.ldap === undefined ? null : checkSettings(given)
    return this.#events.transaction(async (transaction, record) => {
      const before = await findSource(transaction, name)
      await requireCoversSource(transaction, by, name)
      if (settings !== null && settings.kind !== before.kind) {
        const message = `${settings.kind}: ${name} is of the kind ${before.kind}, which stays: add another source`
        throw new ControlPlaneError('invalid', message, { field: settings.kind })
      }
      const config = settings?.config ?? before.config
      const values = {
        config,
        enabled: enabled === undefined ? before.enabled : enabled ? 1 : 0,
        confirm_days: confirmDays ?? before.confirm_days,
        secret_sealed: config === before.config ? before.secret_sealed : null,
        // What was wrong was wrong with the settings before.
        failed_at: config === before.config ? before.failed_at : null,
        failure: config === before.config ? before.failure : null,
      }
      await transaction.updateTable('identity_source').set(values).where('name', '=', name).execute()
      if (values.enabled === 0 || config !== before.config) await endSessionsOf(transaction, name)
      if (config !== before.config) await this.#noteAct(transaction, name, 'password', by)
      const what = [
        ...(config === before.config ? [] : ['has other settings']),
        ...(values.enabled === before.enabled ? [] : [values.enabled === 1 ? 'is switched on' : 'is switched off']),
      ]
      if (values.confirm_days !== before.confirm_days) {
        what.push(`lets API tokens work for ${values.confirm_days} days after it confirmed their user`)
      }
      if (what.length > 0) await record(changed(`identity source ${name} ${what.join(' and ')}`, by))
      return viewSource(transaction, { ...before, ...values })
    })
  }

  /** Takes the client secret; it stays the caller's. Throws `not-found`, `no-privilege`. */
  async setSecret(name: string, secret: Secret, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await findSource(transaction, name)
      await requireCoversSource(transaction, by, name)
      const secret_sealed = this.#barrier.seal(secretContextOf(row), secret)
      await transaction.updateTable('identity_source').set({ secret_sealed }).where('name', '=', name).execute()
      await record(changed(`identity source ${name} has a new secret`, by))
    })
  }

  /** With its users, their permissions, sessions and tokens. Throws `not-found`, `no-privilege`. */
  async remove(name: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      await findSource(transaction, name)
      await requireCoversSource(transaction, by, name)
      await transaction.deleteFrom('user').where('name', 'in', usersOfSource(transaction, name)).execute()
      await transaction.deleteFrom('identity_source').where('name', '=', name).execute()
      await record(changed(`identity source ${name} was removed with its users`, by))
    })
  }

  /** Whoever says where a source is, or what it takes as a name, could be each of its users. */
  async #noteAct(transaction: Transaction<Schema>, name: string, act: AccountAct, by: Principal): Promise<void> {
    await noteAccountAct(transaction, { user: accountsOfSource(name), by: by.name, act, at: this.#clock() })
  }

  /** The caller disposes of it; `null`: there is none. */
  openSecret(row: IdentitySourceRow): Secret | null {
    return openSourceSecret(this.#barrier, row)
  }
}

const changed = (text: string, by: Principal) => ({ type: 'identity-source.changed', text, user: by.name }) as const

/** Whoever was let in by other settings is asked again. API tokens stay, but do not work while the source is switched off. */
async function endSessionsOf(transaction: Transaction<Schema>, source: string): Promise<void> {
  await transaction
    .deleteFrom('bearer')
    .where('kind', '=', 'session')
    .where('user_name', 'in', usersOfSource(transaction, source))
    .execute()
}

async function requireNoUserOf(transaction: Transaction<Schema>, source: string): Promise<void> {
  const users = await transaction.selectFrom('user').select('name').execute()
  const taken = users.find(({ name }) => name.toLowerCase().endsWith(`@${source}`))
  if (taken === undefined) return
  const message = `name: the user ${taken.name} of our own could be taken for one of ${source}: choose another name`
  throw new ControlPlaneError('in-use', message, { field: 'name' })
}
