import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { Log } from './log.ts'
import { readPrivateKey } from './pem.ts'

/** How long a client key waits for its key provider. */
export const pendingClientKeyMs = 3_600_000

/** How many client keys wait at most. */
export const pendingClientKeysMax = 32

const prefix = 'pending-client-key/'
const lookEveryMs = 600_000

/**
 * Client keys that came before their certificates: bytes, never a field of a JSON body. Each lies sealed in the table
 * `sealed` and is bound to its provider's name and to its end, so that nobody who writes the database makes one last.
 */
export class PendingClientKeys {
  readonly #database: Kysely<Schema>
  readonly #barrier: Barrier
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, barrier: Barrier, clock: Clock) {
    this.#database = database
    this.#barrier = barrier
    this.#clock = clock
  }

  /**
   * Keeps `clientKey`, PEM, for a provider that is to be added or to get another client certificate; it takes the place of
   * one that waits already and stays the caller's. Throws `invalid` for what is no private key, `too-busy` above
   * `pendingClientKeysMax`.
   */
  async put(provider: string, clientKey: Secret): Promise<void> {
    readPrivateKey('clientKey', clientKey)
    const expiresAt = this.#clock() + pendingClientKeyMs
    const value = this.#barrier.seal(contextOf(provider, expiresAt), clientKey)
    await this.#database.transaction().execute(async (transaction) => {
      await this.#forgetOld(transaction)
      await transaction.deleteFrom('sealed').where('name', '=', nameOf(provider)).execute()
      const waiting = await transaction
        .selectFrom('sealed')
        .select('name')
        .where('name', 'like', `${prefix}%`)
        .execute()
      if (waiting.length >= pendingClientKeysMax) {
        throw new ControlPlaneError(
          'too-busy',
          `${waiting.length} client keys wait for their key providers: add some of those first; each is forgotten after an hour`,
        )
      }
      await transaction
        .insertInto('sealed')
        .values({ name: nameOf(provider), value, expires_at: expiresAt })
        .execute()
    })
  }

  /** The key of `provider`, PEM, for the caller to dispose of; it waits on. Throws `invalid` when none is there. */
  async look(provider: string): Promise<Secret> {
    const row = await this.#database
      .selectFrom('sealed')
      .select(['value', 'expires_at'])
      .where('name', '=', nameOf(provider))
      .where('expires_at', '>', this.#clock())
      .executeTakeFirst()
    return this.#unsealed(provider, row)
  }

  /**
   * Takes out the key of `provider`, PEM, for the caller to dispose of; where the transaction fails it waits on. Throws
   * `invalid` when none is there.
   */
  async take(transaction: Transaction<Schema>, provider: string): Promise<Secret> {
    await this.#forgetOld(transaction)
    const row = await transaction
      .deleteFrom('sealed')
      .where('name', '=', nameOf(provider))
      .returning(['value', 'expires_at'])
      .executeTakeFirst()
    return this.#unsealed(provider, row)
  }

  /** Forgets keys that wait for too long: before it answers, and again and again until the answer is disposed of. */
  async keepForgetting(log: Log): Promise<Disposable> {
    const look = async () => {
      try {
        await this.#forgetOld(this.#database)
      } catch (error) {
        log.error({ err: error }, 'client keys that wait for too long could not be removed')
      }
    }
    await look()
    const timer = setInterval(() => void look(), lookEveryMs)
    timer.unref()
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  #unsealed(provider: string, row: { value: Uint8Array; expires_at: number | null } | undefined): Secret {
    if (row === undefined || row.expires_at === null) {
      const message = `clientKey: send the client key first: PUT /api/v1/key-providers/${provider}/client-key`
      throw new ControlPlaneError('invalid', message, { field: 'clientKey' })
    }
    return this.#barrier.unseal(contextOf(provider, row.expires_at), row.value)
  }

  async #forgetOld(database: Kysely<Schema>): Promise<void> {
    await database.deleteFrom('sealed').where('expires_at', '<=', this.#clock()).execute()
  }
}

const nameOf = (provider: string) => `${prefix}${provider}`

function contextOf(provider: string, expiresAt: number) {
  return { type: 'client key of a key provider to be added', provider, expiresAt }
}
