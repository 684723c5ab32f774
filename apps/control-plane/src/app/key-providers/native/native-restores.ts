import type { KeyProvider as KeyProviderView, WaitingRestore } from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { Schema } from '../../../database/schema.ts'
import { type Clock, timeText } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { EventLog } from '../../events.ts'
import type { Principal } from '../../ports.ts'
import { becomeDefaultIfNoneIs } from '../default-provider.ts'
import { findProviderRow, providerView } from '../provider-rows.ts'
import { type Backup, readBackup } from './backup-file.ts'
import { derivationKeysOf, sealDerivationKey, unsealDerivationKey } from './derivation-keys.ts'
import { serverlessRow } from './native-providers.ts'

/** How long a backup waits for its password. */
const waitMs = 3_600_000
/** How many wait at most. */
const waitingMax = 16
const prefix = 'pending-native-restore/'

/**
 * Restores native key providers from their backups. The file comes first and waits, sealed; then its password comes by
 * itself, as bytes.
 */
export class NativeRestores {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #barrier: Barrier
  readonly #clock: Clock
  readonly #changed: (name: string) => void

  /** `changed` is told of providers that were restored. */
  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    barrier: Barrier,
    clock: Clock,
    changed: (name: string) => void,
  ) {
    this.#database = database
    this.#events = events
    this.#barrier = barrier
    this.#clock = clock
    this.#changed = changed
  }

  /** Keeps a backup for an hour. Throws `too-busy` above `waitingMax`. */
  async put(file: Secret): Promise<WaitingRestore> {
    const id = v7()
    const expiresAt = this.#clock() + waitMs
    const value = this.#barrier.seal(contextOf(id, expiresAt), file)
    await this.#database.transaction().execute(async (transaction) => {
      await this.#forgetOld(transaction)
      const waiting = await transaction
        .selectFrom('sealed')
        .select('name')
        .where('name', 'like', `${prefix}%`)
        .execute()
      if (waiting.length >= waitingMax) {
        throw new ControlPlaneError(
          'too-busy',
          `${waiting.length} backups wait for their passwords: try again in an hour`,
        )
      }
      await transaction
        .insertInto('sealed')
        .values({ name: prefix + id, value, expires_at: expiresAt })
        .execute()
    })
    return { id, expiresAt: timeText(expiresAt) }
  }

  /**
   * Restores the provider of the backup that waits: with its ID, so that its keys are what they were. Throws `invalid` for
   * a wrong password and for a file that is no backup (it waits on then), `already-exists` when a provider has its ID.
   */
  async restore(id: string, password: Secret, by: Principal): Promise<KeyProviderView> {
    using file = await this.#waiting(id)
    using backup = await file.expose((bytes) => readBackup(bytes, password))
    const { provider } = backup
    const view = await this.#events.transaction(async (transaction, record) => {
      await this.#requireFree(transaction, backup)
      await this.#insert(transaction, backup)
      await transaction
        .deleteFrom('sealed')
        .where('name', '=', prefix + id)
        .execute()
      const text = `native key provider ${provider} was restored from its backup, with generation ${generationOf(backup)} of its derivation key`
      await record({ type: 'key-provider.restored', provider, text, user: by.name })
      await becomeDefaultIfNoneIs(transaction, record, await findProviderRow(transaction, provider), by)
      return providerView(transaction, provider)
    })
    this.#changed(provider)
    return view
  }

  async #waiting(id: string): Promise<Secret> {
    const row = await this.#database
      .selectFrom('sealed')
      .select(['value', 'expires_at'])
      .where('name', '=', prefix + id)
      .where('expires_at', '>', this.#clock())
      .executeTakeFirst()
    if (row !== undefined && row.expires_at !== null) {
      return this.#barrier.unseal(contextOf(id, row.expires_at), row.value)
    }
    throw new ControlPlaneError('not-found', `id: no backup ${id} waits for its password: send it again`, {
      field: 'id',
    })
  }

  async #requireFree(transaction: Transaction<Schema>, backup: Backup): Promise<void> {
    const { provider } = backup
    const taken = await transaction
      .selectFrom('key_provider')
      .select('name')
      .where('name', '=', provider)
      .executeTakeFirst()
    if (taken === undefined) return
    const what = (await this.#isSame(transaction, backup))
      ? 'it has this derivation key already: there is nothing to restore'
      : 'it is another one, whose keys are others: a provider cannot be restored beside it, since its ID cannot be changed'
    throw new ControlPlaneError('already-exists', `there is a key provider ${provider}, and ${what}`, {
      field: 'backup',
    })
  }

  async #isSame(transaction: Transaction<Schema>, { provider, keys }: Backup): Promise<boolean> {
    const rows = await derivationKeysOf(transaction, provider)
    return keys.some(({ generation, key }) => {
      const row = rows.find((candidate) => candidate.generation === generation)
      if (row === undefined) return false
      using own = unsealDerivationKey(this.#barrier, row)
      return own.equal(key)
    })
  }

  async #insert(transaction: Transaction<Schema>, backup: Backup): Promise<void> {
    const { provider, keys } = backup
    const now = this.#clock()
    await transaction.insertInto('key_provider').values(serverlessRow(provider, now)).execute()
    await transaction
      .insertInto('native_provider')
      .values({
        provider,
        generation: generationOf(backup),
        restored_at: now,
        exported_sha256: null,
        exported_generation: null,
      })
      .execute()
    for (const { generation, key } of keys) {
      const row = sealDerivationKey(this.#barrier, provider, generation, key, now)
      // It was read from its backup just now.
      await transaction
        .insertInto('derivation_key')
        .values({ ...row, backed_up_at: now })
        .execute()
    }
  }

  async #forgetOld(transaction: Transaction<Schema>): Promise<void> {
    await transaction.deleteFrom('sealed').where('expires_at', '<=', this.#clock()).execute()
  }
}

/** The generation that new keys are made with. */
function generationOf({ keys }: Backup): number {
  return Math.max(...keys.map(({ generation }) => generation))
}

function contextOf(id: string, expiresAt: number) {
  return { type: 'backup of a native key provider to be restored', id, expiresAt }
}
