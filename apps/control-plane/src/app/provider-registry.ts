import type { AddKeyProvider, KeyProviderStatus, KeyProvider as KeyProviderView } from '@cryptvisor/control-plane-api'
import type { KeyProvider, ProviderStatus } from '@cryptvisor/key-provider'
import type { Kysely, Transaction } from 'kysely'
import type { KeyProviderRow, Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog, RecordEvent } from './events.ts'
import { certificatesOf, checkPrivateKey } from './pem.ts'
import type { PendingClientKeys } from './pending-client-keys.ts'
import type { HostObserver, KeyProviders, Principal } from './ports.ts'
import type { ProviderStore } from './provider-store.ts'
import { serverName, toStatus, toView } from './provider-view.ts'
import { orExists } from './unique.ts'

/** The key providers: set up by people, kept open for whoever needs keys. */
export class ProviderRegistry implements KeyProviders, AsyncDisposable {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #store: ProviderStore
  readonly #pendingKeys: PendingClientKeys
  readonly #observer: () => HostObserver
  readonly #clock: Clock
  readonly #open = new Map<string, Promise<KeyProvider>>()
  /** Those that were found red and not better since; they make no further event. */
  readonly #red = new Set<string>()

  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    store: ProviderStore,
    pendingKeys: PendingClientKeys,
    observer: () => HostObserver,
    clock: Clock,
  ) {
    this.#database = database
    this.#events = events
    this.#store = store
    this.#pendingKeys = pendingKeys
    this.#observer = observer
    this.#clock = clock
  }

  async get(name: string): Promise<KeyProvider> {
    const open = this.#open.get(name)
    if (open !== undefined) return open
    const opening = this.#row(this.#database, name).then((row) => this.#store.open(row))
    this.#open.set(name, opening)
    try {
      return await opening
    } catch (error) {
      this.#open.delete(name)
      throw error
    }
  }

  /** By name. */
  async list(): Promise<KeyProviderView[]> {
    return (await this.#database.selectFrom('key_provider').selectAll().orderBy('name').execute()).map(toView)
  }

  /**
   * Adds a provider with the client key that waits for it, without asking its servers anything; `status` says whether
   * they can be used. Throws `invalid` for certificates that cannot be read and for a key that is not there or is not
   * the certificate's, `already-exists`; the key then waits on.
   */
  async add(request: AddKeyProvider, by: Principal): Promise<KeyProviderView> {
    const { name, servers } = request
    if (new Set(servers.map(serverName)).size < servers.length) {
      throw new ControlPlaneError('invalid', 'servers: one server is there twice', { field: 'servers' })
    }
    const serverCa = certificatesOf('serverCa', request.serverCa)
    const clientCertificate = certificatesOf('clientCertificate', request.clientCertificate)
    const plainRow = {
      name,
      servers: JSON.stringify(servers),
      server_ca: serverCa.join(''),
      client_certificate: clientCertificate.join(''),
      created_at: this.#clock(),
    }
    return orExists('name', `there is a key provider ${name} already: choose another name`, () =>
      this.#events.transaction(async (transaction, record) => {
        using clientKey = await this.#pendingKeys.take(transaction, name)
        checkPrivateKey('clientKey', clientKey, clientCertificate[0])
        const row = this.#store.seal(plainRow, clientKey)
        await transaction.insertInto('key_provider').values(row).execute()
        const text = `key provider ${name} was added with ${servers.map(serverName).join(', ')}`
        await record({ type: 'key-provider.added', provider: name, text, user: by.name })
        const others = await transaction
          .selectFrom('key_provider')
          .select('name')
          .where('name', '!=', name)
          .limit(1)
          .execute()
        const isDefault = request.makeDefault === true || others.length === 0
        return toView(isDefault ? await makeDefault(transaction, record, row, by) : row)
      }),
    )
  }

  /** Makes it the one that is asked for keys where no other is named. Throws `not-found`. */
  async setDefault(name: string, by: Principal): Promise<KeyProviderView> {
    return this.#events.transaction(async (transaction, record) => {
      const row = await this.#row(transaction, name)
      return toView(row.is_default === 1 ? row : await makeDefault(transaction, record, row, by))
    })
  }

  /** Finds out how a provider is, by the whole life of a key. Throws `not-found`. */
  async status(name: string): Promise<KeyProviderStatus> {
    const provider = await this.get(name)
    const status = await provider.probe()
    if (status.health !== 'red') this.#red.delete(name)
    else if (!this.#red.has(name)) {
      this.#red.add(name)
      await this.#recordRed(name, status)
    }
    return toStatus(name, status)
  }

  /** Throws `not-found`; `in-use` while a VM or a host uses a key of it. */
  async remove(name: string, by: Principal): Promise<void> {
    await this.#row(this.#database, name)
    await this.#observer().checkProviderRemoval(name)
    await this.#events.transaction(async (transaction, record) => {
      const row = await this.#row(transaction, name)
      // A key may have been made since the check.
      const used = await transaction
        .selectFrom('key')
        .select('key_id')
        .where('provider', '=', name)
        .where('state', 'in', ['pending', 'current'])
        .executeTakeFirst()
      if (used !== undefined) {
        throw new ControlPlaneError(
          'in-use',
          `key ${used.key_id} of key provider ${name} is in use: decrypt or rekey first`,
        )
      }
      await transaction.deleteFrom('key_provider').where('name', '=', name).execute()
      const text = `key provider ${name} was removed${row.is_default === 1 ? '; there is no default one now' : ''}`
      await record({ type: 'key-provider.removed', provider: name, text, user: by.name })
    })
    await this.#close(name)
  }

  /** Closes the connections to all providers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.keys()].map((name) => this.#close(name)))
  }

  async #close(name: string): Promise<void> {
    const open = this.#open.get(name)
    this.#open.delete(name)
    this.#red.delete(name)
    await this.#store.close(await open)
  }

  async #recordRed(name: string, status: ProviderStatus): Promise<void> {
    const unreachable = status.servers.some((server) => !server.isReachable || !server.isTrusted)
    await this.#events.record({
      type: unreachable ? 'kms.crypto.connection-error' : 'kms.crypto.error',
      provider: name,
      text: `key provider ${name} does not work: ${status.reason}`,
    })
  }

  async #row(database: Kysely<Schema>, name: string): Promise<KeyProviderRow> {
    const row = await database.selectFrom('key_provider').selectAll().where('name', '=', name).executeTakeFirst()
    if (row === undefined) throw new ControlPlaneError('not-found', `there is no key provider ${name}`)
    return row
  }
}

async function makeDefault(
  transaction: Transaction<Schema>,
  record: RecordEvent,
  row: KeyProviderRow,
  by: Principal,
): Promise<KeyProviderRow> {
  await transaction.updateTable('key_provider').set({ is_default: 0 }).execute()
  await transaction.updateTable('key_provider').set({ is_default: 1 }).where('name', '=', row.name).execute()
  await record({
    type: 'key-provider.default-changed',
    provider: row.name,
    text: `key provider ${row.name} is the default now`,
    user: by.name,
  })
  return { ...row, is_default: 1 }
}
