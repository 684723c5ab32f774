import type { AddKeyProvider, ChangeKeyProvider, KeyProvider as KeyProviderView } from '@cryptvisor/control-plane-api'
import type { KeyProvider } from '@cryptvisor/key-provider'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { KeyProviderRow, Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { makeDefault } from './key-providers/default-provider.ts'
import { nativeRow, nativeView, notBackedUp } from './key-providers/native/native-state.ts'
import { OpenProviders } from './key-providers/open-providers.ts'
import { companionsOf, findProviderRow, requireActive } from './key-providers/provider-rows.ts'
import { certificatesOf, checkPrivateKey } from './pem.ts'
import type { PendingClientKeys } from './pending-client-keys.ts'
import { forgetPermissions } from './permissions/permission-store.ts'
import type { HostObserver, KeyProviders, Principal } from './ports.ts'
import type { ProviderStore } from './provider-store.ts'
import { missingOf, serverName, toView } from './provider-view.ts'
import { isRehearsed } from './rehearsal.ts'
import { orExists } from './unique.ts'

/** A provider that cannot be reached is probed at most so often because of requests that fail. */
const troubleEveryMs = 60_000

/** The key providers: set up by people, kept open for whoever needs keys. */
export class ProviderRegistry implements KeyProviders, AsyncDisposable {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #store: ProviderStore
  readonly #pendingKeys: PendingClientKeys
  readonly #observer: () => HostObserver
  readonly #clock: Clock
  readonly #open: OpenProviders
  readonly #wake: (name: string) => void
  readonly #troubledAt = new Map<string, number>()

  /** `wake` is told of providers that are new or were changed. */
  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    store: ProviderStore,
    pendingKeys: PendingClientKeys,
    observer: () => HostObserver,
    clock: Clock,
    wake: (name: string) => void,
  ) {
    this.#database = database
    this.#events = events
    this.#store = store
    this.#pendingKeys = pendingKeys
    this.#observer = observer
    this.#clock = clock
    this.#open = new OpenProviders((name) => this.#opened(name), store)
    this.#wake = wake
  }

  async get(name: string): Promise<KeyProvider> {
    return this.#open.get(name)
  }

  /** Has it probed soon, so that an alarm does not wait for the next probe; not for each of many requests that fail. */
  troubled(name: string): void {
    const last = this.#troubledAt.get(name)
    if (isRehearsed() || (last !== undefined && this.#clock() - last < troubleEveryMs)) return
    this.#troubledAt.set(name, this.#clock())
    this.#wake(name)
  }

  /** By name. */
  async list(): Promise<KeyProviderView[]> {
    const rows = await this.#database.selectFrom('key_provider').selectAll().orderBy('name').execute()
    return Promise.all(rows.map((row) => this.#view(this.#database, row)))
  }

  /** Throws `not-found`. */
  async show(name: string): Promise<KeyProviderView> {
    return this.#view(this.#database, await findProviderRow(this.#database, name))
  }

  /**
   * Adds a provider, with the client key that waits for it when a client certificate is given, without asking its servers
   * anything; `status` says whether they can be used. Throws `invalid` for certificates that cannot be read and for a key
   * that is not there or is not the certificate's, `already-exists`; the key then waits on. One that is to take another
   * one's place as the default is asked for a key first; `kms-unreachable` when it gives none.
   */
  async add(request: AddKeyProvider, by: Principal): Promise<KeyProviderView> {
    const { name, servers } = request
    if (new Set(servers.map(serverName)).size < servers.length) {
      throw new ControlPlaneError('invalid', 'servers: one server is there twice', { field: 'servers' })
    }
    const serverCa = request.serverCa === undefined ? [] : certificatesOf('serverCa', request.serverCa)
    const row: KeyProviderRow = {
      name,
      display_name: request.displayName ?? null,
      is_default: 0,
      servers: JSON.stringify(servers),
      server_ca: serverCa.join(''),
      created_at: this.#clock(),
    }
    // A dry run asks no key server for anything.
    if (request.makeDefault === true && !isRehearsed()) await this.#requireKeys(row, request.clientCertificate)
    const view = await orExists('name', `there is a key provider ${name} already: choose another name`, () =>
      this.#events.transaction(async (transaction, record) => {
        await transaction.insertInto('key_provider').values(row).execute()
        if (request.clientCertificate !== undefined) {
          await this.#addUploaded(transaction, row, request.clientCertificate)
        }
        const text = `key provider ${name} was added with ${servers.map(serverName).join(', ')}`
        await record({ type: 'key-provider.added', provider: name, text, user: by.name })
        const others = await transaction.selectFrom('key_provider').select('name').where('is_default', '=', 1).execute()
        const isDefault = request.makeDefault === true || others.length === 0
        return this.#view(transaction, isDefault ? await makeDefault(transaction, record, row, by) : row)
      }),
    )
    if (!isRehearsed()) this.#wake(name)
    return view
  }

  /** Changes what people call a provider; its name stays, since it is part of every key's. Throws `not-found`. */
  async change(name: string, { displayName }: ChangeKeyProvider, by: Principal): Promise<KeyProviderView> {
    return this.#events.transaction(async (transaction, record) => {
      const row = await findProviderRow(transaction, name)
      if (row.display_name === displayName) return this.#view(transaction, row)
      await transaction
        .updateTable('key_provider')
        .set({ display_name: displayName })
        .where('name', '=', name)
        .execute()
      const text =
        displayName === null
          ? `key provider ${name} is called by its name again`
          : `key provider ${name} is called «${displayName}» from now on; in key records it keeps its name`
      await record({ type: 'key-provider.changed', provider: name, text, user: by.name })
      return this.#view(transaction, { ...row, display_name: displayName })
    })
  }

  /** Makes it the one that is asked for keys where no other is named. Throws `not-found`, and `in-use` without its backup. */
  async setDefault(name: string, by: Principal): Promise<KeyProviderView> {
    return this.#events.transaction(async (transaction, record) => {
      const row = await findProviderRow(transaction, name)
      if ((await nativeView(transaction, name))?.isBackedUp === false) {
        throw new ControlPlaneError('in-use', `key provider ${name} cannot be the default: ${notBackedUp(name)}`)
      }
      return this.#view(transaction, row.is_default === 1 ? row : await makeDefault(transaction, record, row, by))
    })
  }

  /** Throws `not-found`; `in-use` while a VM or a host uses a key of it. */
  async remove(name: string, by: Principal): Promise<void> {
    await findProviderRow(this.#database, name)
    await this.#observer().checkProviderRemoval(name)
    await this.#events.transaction(async (transaction, record) => {
      const row = await findProviderRow(transaction, name)
      // A key may have been made since the check.
      const used = await transaction
        .selectFrom('key')
        .select('key_id')
        .where('provider', '=', name)
        .where('state', 'in', ['pending', 'current'])
        // A wrapping key that nothing has, as was just checked, or that a task took since.
        .where((where) =>
          where.or([
            where('owner_kind', '!=', 'key-provider'),
            where.exists(
              where
                .selectFrom('task')
                .select('task.id')
                .whereRef('task.key_id', '=', 'key.key_id')
                .where('task.key_provider', '=', name)
                .where('task.state', 'in', ['queued', 'running']),
            ),
          ]),
        )
        .executeTakeFirst()
      if (used !== undefined) {
        throw new ControlPlaneError(
          'in-use',
          `key ${used.key_id} of key provider ${name} is in use: decrypt or rekey first`,
        )
      }
      await transaction
        .updateTable('key')
        .set({ state: 'retired', retired_at: this.#clock() })
        .where('provider', '=', name)
        .where('owner_kind', '=', 'key-provider')
        .where('state', '=', 'current')
        .execute()
      const { length: entityCount } = await transaction
        .selectFrom('provider_default')
        .select('entity_id')
        .where('provider', '=', name)
        .execute()
      await transaction.deleteFrom('key_provider').where('name', '=', name).execute()
      await forgetPermissions(transaction, 'key-provider', name)
      const text = `key provider ${name} was removed${row.is_default === 1 ? '; there is no default one now' : ''}${entityCount === 0 ? '' : `; it was the default of ${entityCount} clusters or folders, which have none of their own now`}`
      await record({ type: 'key-provider.removed', provider: name, text, user: by.name })
    })
    if (!isRehearsed()) await this.#open.close(name)
  }

  /** Call it when servers or trust of a provider were changed: who asks for it from now on gets it as it is now. */
  changed(name: string): void {
    if (isRehearsed()) return
    this.#open.replace(name)
    this.#wake(name)
  }

  /** Closes the connections to all providers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]()
  }

  async #opened(name: string): Promise<KeyProvider> {
    const row = await findProviderRow(this.#database, name)
    if ((await nativeRow(this.#database, name)) !== null)
      return this.#store.openNative(this.#database, name, this.#clock)
    return this.#store.open(row, await requireActive(this.#database, row))
  }

  /** Throws `kms-unreachable` where a provider would take another one's place as the default and gives no keys. */
  async #requireKeys(row: KeyProviderRow, certificate: string | undefined): Promise<void> {
    const present = await this.#database.selectFrom('key_provider').select('name').where('is_default', '=', 1).execute()
    if (present.length === 0) return
    const reason =
      certificate === undefined ? 'it has no client certificate yet' : await this.#redness(row, certificate)
    if (reason === null) return
    throw new ControlPlaneError(
      'kms-unreachable',
      `makeDefault: key provider ${row.name} cannot be the default, since its keys cannot be had now (${reason}): add it without «--default» and mend that first`,
      { field: 'makeDefault' },
    )
  }

  /** Why a provider that is to be added gives no keys; `null`: it does. */
  async #redness(row: KeyProviderRow, pem: string): Promise<string | null> {
    const chain = certificatesOf('clientCertificate', pem)
    using clientKey = await this.#pendingKeys.look(row.name)
    checkPrivateKey('clientKey', clientKey, chain[0])
    const certificate = chain.join('')
    const identity = { certificate, key_sealed: this.#store.seal(row, certificate, clientKey) }
    const missing = missingOf(row, identity, null)
    if (missing !== null) return missing
    const provider = this.#store.open(row, identity)
    try {
      const { health, reason } = await provider.probe()
      return health === 'red' ? reason : null
    } finally {
      await this.#store.close(provider)
    }
  }

  async #addUploaded(transaction: Transaction<Schema>, row: KeyProviderRow, pem: string): Promise<void> {
    const chain = certificatesOf('clientCertificate', pem)
    using clientKey = await this.#pendingKeys.take(transaction, row.name)
    checkPrivateKey('clientKey', clientKey, chain[0])
    const certificate = chain.join('')
    await transaction
      .insertInto('provider_identity')
      .values({
        id: v7(),
        provider: row.name,
        way: 'upload',
        state: 'active',
        certificate,
        csr: null,
        key_sealed: this.#store.seal(row, certificate, clientKey),
        created_at: this.#clock(),
      })
      .execute()
  }

  async #view(database: Kysely<Schema>, row: KeyProviderRow): Promise<KeyProviderView> {
    return toView(row, await companionsOf(database, row.name))
  }
}
