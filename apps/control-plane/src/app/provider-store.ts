import { type KeyProvider, NativeKeyProvider, StandardKeyProvider } from '@cryptvisor/key-provider'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { ProviderIdentityRow } from '../database/provider-rows.ts'
import type { KeyProviderRow, Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { NativeKeyTable } from './key-providers/native/native-key-table.ts'
import { serverName, serversOf } from './provider-view.ts'
import type { KmipTimeouts } from './settings.ts'

/** What a client key is bound to: where it is shown, and who is trusted there. */
export type ProviderPlace = Pick<KeyProviderRow, 'name' | 'servers' | 'server_ca'>

/** A client certificate with its sealed key. */
export type SealedIdentity = Pick<ProviderIdentityRow, 'certificate' | 'key_sealed'>

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

  /** Seals a client key, PEM, which stays the caller's. `certificate` is empty while a request waits to be signed. */
  seal(place: ProviderPlace, certificate: string, clientKey: Secret): Uint8Array {
    return this.#barrier.seal(contextOf(place, certificate), clientKey)
  }

  /** A client key, PEM, for the caller to dispose of. Throws `KeyStoreError` when its row, or the provider's, was changed. */
  unseal(place: ProviderPlace, identity: SealedIdentity): Secret {
    return this.#barrier.unseal(contextOf(place, identity.certificate), identity.key_sealed)
  }

  /** The sealed key as it is where servers and trust become those of `after`. Throws `KeyStoreError`. */
  reseal(before: ProviderPlace, after: ProviderPlace, identity: SealedIdentity): Uint8Array {
    using clientKey = this.unseal(before, identity)
    return this.seal(after, identity.certificate, clientKey)
  }

  /**
   * Opens a provider; connects to nobody yet. Servers whose certificate nothing says how to trust are left out. Throws
   * `KeyStoreError` when a row was changed.
   */
  open(place: ProviderPlace, identity: SealedIdentity): KeyProvider {
    const clientKey = this.unseal(place, identity)
    try {
      const provider = new StandardKeyProvider({
        id: place.name,
        servers: trustedServersOf(place).map(({ fingerprint256, ...address }) => ({
          ...address,
          ...(fingerprint256 === undefined ? { caPem: place.server_ca } : { fingerprint256 }),
          name: serverName(address),
          clientCertificatePem: identity.certificate,
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

  /** Opens a native provider: its derivation keys are read, and wiped again, with each key that is asked for. */
  openNative(database: Kysely<Schema>, name: string, clock: Clock): KeyProvider {
    return new NativeKeyProvider({ id: name, store: new NativeKeyTable(database, this.#barrier, name), now: clock })
  }

  /** Closes a provider that `open` gave, and wipes its key. */
  async close(provider: KeyProvider | undefined): Promise<void> {
    if (provider === undefined) return
    await provider[Symbol.asyncDispose]()
    this.#clientKeys.get(provider)?.[Symbol.dispose]()
  }
}

/** The servers whose certificate is pinned, or comes from an authority that is trusted. */
export function trustedServersOf(place: Pick<ProviderPlace, 'servers' | 'server_ca'>) {
  return serversOf(place).filter(({ fingerprint256 }) => fingerprint256 !== undefined || place.server_ca !== '')
}

function contextOf(place: ProviderPlace, certificate: string) {
  return {
    type: 'client key of a key provider',
    provider: place.name,
    servers: place.servers,
    serverCa: place.server_ca,
    clientCertificate: certificate,
  }
}
