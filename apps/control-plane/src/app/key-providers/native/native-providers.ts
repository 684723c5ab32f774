import { createHash } from 'node:crypto'
import type { KeyProvider as KeyProviderView } from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely, Transaction } from 'kysely'
import type { KeyProviderRow, Schema } from '../../../database/schema.ts'
import type { Clock } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { EventLog } from '../../events.ts'
import type { Principal } from '../../ports.ts'
import { requireNoHold } from '../../system/installation.ts'
import { orExists } from '../../unique.ts'
import { becomeDefaultIfNoneIs } from '../default-provider.ts'
import { findProviderRow, providerView } from '../provider-rows.ts'
import { writeBackup } from './backup-file.ts'
import { derivationKeysOf, newDerivationKey, unsealDerivationKey } from './derivation-keys.ts'
import { livingKeys, notBackedUp, requireNative } from './native-state.ts'

/** Native key providers: made, backed up, and given new derivation keys. All throw `not-found` and `invalid`. */
export class NativeProviders {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #barrier: Barrier
  readonly #clock: Clock
  readonly #changed: (name: string) => void

  /** `changed` is told of providers that are new or were changed. */
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

  /** Adds a provider with its first derivation key. It makes no keys before `confirmBackup`. Throws `already-exists`. */
  async add(name: string, by: Principal): Promise<KeyProviderView> {
    const now = this.#clock()
    const view = await orExists('name', `there is a key provider ${name} already: choose another name`, () =>
      this.#events.transaction(async (transaction, record) => {
        await transaction.insertInto('key_provider').values(serverlessRow(name, now)).execute()
        const row = {
          provider: name,
          generation: 1,
          restored_at: null,
          exported_sha256: null,
          exported_generation: null,
        }
        await transaction.insertInto('native_provider').values(row).execute()
        await transaction
          .insertInto('derivation_key')
          .values(newDerivationKey(this.#barrier, name, 1, now))
          .execute()
        const text = `native key provider ${name} was added`
        await record({ type: 'key-provider.added', provider: name, text, user: by.name })
        await record({
          type: 'kms.crypto.not-backed-up',
          provider: name,
          text: `key provider ${name} makes no keys yet: ${notBackedUp(name)}`,
          user: by.name,
        })
        return providerView(transaction, name)
      }),
    )
    this.#changed(name)
    return view
  }

  /**
   * All its derivation keys as a PKCS#12 file under `password` (UTF-8), which stays the caller's. The provider counts as
   * backed up only when whoever has the file says by `confirmBackup` that it is whole.
   */
  async backUp(name: string, password: Secret, by: Principal): Promise<Uint8Array> {
    const { generation } = await requireNative(this.#database, name)
    using stack = new DisposableStack()
    const keys = (await derivationKeysOf(this.#database, name)).map((row) => ({
      generation: row.generation,
      key: stack.use(unsealDerivationKey(this.#barrier, row)),
    }))
    const file = await writeBackup(name, keys, password)
    const sha256 = createHash('sha256').update(file).digest('hex')
    await this.#events.transaction(async (transaction, record) => {
      await transaction
        .updateTable('native_provider')
        .set({ exported_sha256: sha256, exported_generation: generation })
        .where('provider', '=', name)
        .execute()
      const text = `a backup of key provider ${name} was read out: whoever has it and its password can derive every key of the provider. SHA-256 ${sha256}`
      await record({ type: 'key-provider.backup-exported', provider: name, text, user: by.name })
    })
    return file
  }

  /** The backup that was read out last is whole where it was written. Throws `invalid` when it is another one. */
  async confirmBackup(name: string, sha256: string, by: Principal): Promise<KeyProviderView> {
    const view = await this.#events.transaction(async (transaction, record) => {
      const row = await requireNative(transaction, name)
      if (row.exported_sha256 !== sha256 || row.exported_generation !== row.generation) {
        throw new ControlPlaneError(
          'invalid',
          `sha256: this is not the backup of key provider ${name} that was read out last, or its derivation key changed since: take a new one`,
          { field: 'sha256' },
        )
      }
      const now = this.#clock()
      await transaction.updateTable('derivation_key').set({ backed_up_at: now }).where('provider', '=', name).execute()
      const text = `key provider ${name} is backed up with all its derivation keys, up to generation ${row.generation}`
      await record({ type: 'kms.crypto.all-backed-up', provider: name, text, user: by.name })
      await becomeDefaultIfNoneIs(transaction, record, await findProviderRow(transaction, name), by)
      return providerView(transaction, name)
    })
    this.#changed(name)
    return view
  }

  /**
   * Gives it a new derivation key, which new keys are made with once it is backed up. Keys of earlier generations stay;
   * rekey moves VMs away from them. Throws `in-use` while the present one is not backed up.
   */
  async rotate(name: string, by: Principal): Promise<KeyProviderView> {
    const view = await this.#events.transaction(async (transaction, record) => {
      const { generation } = await requireNative(transaction, name)
      const keys = await derivationKeysOf(transaction, name)
      if (keys.find((key) => key.generation === generation)?.backed_up_at == null) {
        throw new ControlPlaneError(
          'in-use',
          `key provider ${name} cannot get another derivation key: ${notBackedUp(name)}`,
        )
      }
      const next = newDerivationKey(this.#barrier, name, generation + 1, this.#clock())
      await transaction.insertInto('derivation_key').values(next).execute()
      await transaction
        .updateTable('native_provider')
        .set({ generation: next.generation })
        .where('provider', '=', name)
        .execute()
      const text = `key provider ${name} has a new derivation key, of generation ${next.generation}; keys of earlier generations stay as they are`
      await record({ type: 'key-provider.rotated', provider: name, text, user: by.name })
      await record({
        type: 'kms.crypto.not-backed-up-after-update',
        provider: name,
        text: `key provider ${name} makes no keys now: ${notBackedUp(name)}`,
        user: by.name,
      })
      return providerView(transaction, name)
    })
    this.#changed(name)
    return view
  }

  /**
   * Destroys an earlier generation's derivation key: none of its keys can be derived here again. Throws `in-use` for the
   * present one, and while keys of it are not destroyed.
   */
  async destroyGeneration(name: string, generation: number, by: Principal): Promise<KeyProviderView> {
    return this.#events.transaction(async (transaction, record) => {
      const row = await requireNative(transaction, name)
      if (!(await derivationKeysOf(transaction, name)).some((key) => key.generation === generation)) {
        const message = `generation: key provider ${name} has no derivation key of generation ${generation}`
        throw new ControlPlaneError('not-found', message, { field: 'generation' })
      }
      if (generation === row.generation) {
        throw new ControlPlaneError(
          'in-use',
          `generation ${generation} is the present one of key provider ${name}: «key-provider rotate ${name}» first`,
        )
      }
      await requireNoHold(transaction, `generation ${generation} of key provider ${name} is not destroyed`)
      await requireNoLivingKeys(transaction, name, generation)
      await transaction
        .deleteFrom('derivation_key')
        .where('provider', '=', name)
        .where('generation', '=', generation)
        .execute()
      const text = `the derivation key of generation ${generation} of key provider ${name} was destroyed; backups of it that exist elsewhere still derive its keys`
      await record({ type: 'key-provider.generation-destroyed', provider: name, text, user: by.name })
      return providerView(transaction, name)
    })
  }
}

/** The row in `key_provider` of a provider without servers. */
export function serverlessRow(name: string, now: number): KeyProviderRow {
  return { name, display_name: null, is_default: 0, servers: '[]', server_ca: '', created_at: now }
}

async function requireNoLivingKeys(transaction: Transaction<Schema>, name: string, generation: number): Promise<void> {
  const count = (await livingKeys(transaction, name)).get(generation) ?? 0
  if (count > 0) {
    throw new ControlPlaneError(
      'in-use',
      `${count} ${count === 1 ? 'key' : 'keys'} of generation ${generation} of key provider ${name} ${count === 1 ? 'is' : 'are'} not destroyed: rekey what uses them (shallow is enough), then destroy the retired keys («keys destroy»)`,
    )
  }
  // Of a restored provider the records of its keys may be lacking.
  const used = await transaction
    .selectFrom('key')
    .select('key_id')
    .where('provider', '=', name)
    .where('key_id', 'like', `${generation}-%`)
    .where('state', '!=', 'destroyed')
    .executeTakeFirst()
  if (used === undefined) return
  throw new ControlPlaneError(
    'in-use',
    `key ${used.key_id} of generation ${generation} is not destroyed: see «keys show»`,
  )
}
