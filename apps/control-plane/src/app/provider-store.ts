import { type KeyProvider, StandardKeyProvider } from '@cryptvisor/key-provider'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { KeyProviderRow } from '../database/schema.ts'
import { serverName, serversOf } from './provider-view.ts'
import type { KmipTimeouts } from './settings.ts'

type PlainRow = Omit<KeyProviderRow, 'client_key_sealed' | 'is_default'>

/**
 * Seals the client keys of key providers and opens providers from their rows. A key is bound to what lies beside it: in
 * a row whose servers or certificates somebody changed it does not open, so nobody who writes the database can send us
 * to another key server.
 */
export class ProviderStore {
  readonly #barrier: Barrier
  readonly #timeouts: KmipTimeouts
  readonly #clientKeys = new WeakMap<KeyProvider, Secret>()

  constructor(barrier: Barrier, timeouts: KmipTimeouts) {
    this.#barrier = barrier
    this.#timeouts = timeouts
  }

  /** The row of a new provider. `clientKey` is PEM and stays the caller's. */
  seal(row: PlainRow, clientKey: Secret): KeyProviderRow {
    return { ...row, is_default: 0, client_key_sealed: this.#barrier.seal(contextOf(row), clientKey) }
  }

  /** Opens a provider; connects to nobody yet. Throws `KeyStoreError` when the row was changed. */
  open(row: KeyProviderRow): KeyProvider {
    const clientKey = this.#barrier.unseal(contextOf(row), row.client_key_sealed)
    try {
      const provider = new StandardKeyProvider({
        id: row.name,
        servers: serversOf(row).map((server) => ({
          ...server,
          name: serverName(server),
          caPem: row.server_ca,
          clientCertificatePem: row.client_certificate,
          clientKey,
        })),
        clientLimits: this.#timeouts,
      })
      this.#clientKeys.set(provider, clientKey)
      return provider
    } catch (error) {
      clientKey[Symbol.dispose]()
      throw error
    }
  }

  /** Closes a provider that `open` gave, and wipes its key. */
  async close(provider: KeyProvider | undefined): Promise<void> {
    if (provider === undefined) return
    await provider[Symbol.asyncDispose]()
    this.#clientKeys.get(provider)?.[Symbol.dispose]()
  }
}

function contextOf(row: PlainRow) {
  return {
    type: 'client key of a key provider',
    provider: row.name,
    servers: row.servers,
    serverCa: row.server_ca,
    clientCertificate: row.client_certificate,
  }
}
