import type {
  AddProviderServer,
  ChangeProviderServer,
  InspectedServer,
  KeyProvider as KeyProviderView,
  KmipServerAddress,
  KmipServerWish,
  TrustServers,
} from '@cryptvisor/control-plane-api'
import { providerServersMax } from '@cryptvisor/control-plane-api'
import { shownCertificate } from '@cryptvisor/key-provider'
import type { KeyProviderRow } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { certificatesOf } from '../pem.ts'
import type { Principal } from '../ports.ts'
import type { ProviderRegistry } from '../provider-registry.ts'
import type { ProviderStore } from '../provider-store.ts'
import { certificateView, serverName, serversOf, toView } from '../provider-view.ts'
import { companionsOf, findStandardRow } from './provider-rows.ts'

/** A change of a provider's servers or of the trust in them, with the words for its event; `null`: nothing changes. */
interface Change {
  readonly servers: readonly KmipServerWish[]
  readonly serverCa: string
  readonly text: string
}

/**
 * The servers of key providers: where they are and which certificates are trusted there. Client keys are bound to both, so
 * every change seals them anew.
 */
export class ProviderServers {
  readonly #events: EventLog
  readonly #store: ProviderStore
  readonly #registry: ProviderRegistry
  readonly #connectTimeoutMs: number

  constructor(events: EventLog, store: ProviderStore, registry: ProviderRegistry, connectTimeoutMs: number) {
    this.#events = events
    this.#store = store
    this.#registry = registry
    this.#connectTimeoutMs = connectTimeoutMs
  }

  /** The certificate that a server shows now, trusted or not; nothing else is asked of it. */
  async inspect({ host, port }: KmipServerAddress): Promise<InspectedServer> {
    const shown = await shownCertificate(host, port, this.#connectTimeoutMs)
    return 'pem' in shown
      ? { host, port, certificate: certificateView(shown.pem), problem: null }
      : { host, port, certificate: null, problem: shown.problem }
  }

  /** Changes which certificates are trusted. Throws `not-found`, also for a server; `invalid`. */
  async trust(name: string, request: TrustServers, by: Principal): Promise<KeyProviderView> {
    const authorities = request.serverCa === undefined ? null : certificatesOf('serverCa', request.serverCa)
    if (authorities === null && (request.pins ?? []).length === 0) {
      throw new ControlPlaneError('invalid', 'serverCa: name authorities to trust, or servers with fingerprints', {
        field: 'serverCa',
      })
    }
    return this.#change(name, by, (row) => {
      const servers = (request.pins ?? []).reduce<KmipServerWish[]>((before, { fingerprint256, ...address }) => {
        const index = indexOf(name, before, serverName(address))
        const pinned = fingerprint256 === null ? address : { ...address, fingerprint256 }
        return before.with(index, pinned)
      }, serversOf(row))
      const parts = [
        ...(authorities === null
          ? []
          : [`certificates under ${authorities.map((pem) => certificateView(pem).subject).join('; ')} are trusted`]),
        ...(request.pins ?? []).map((pin) =>
          pin.fingerprint256 === null
            ? `${serverName(pin)} is not pinned any more`
            : `${serverName(pin)} is trusted with the certificate ${pin.fingerprint256}`,
        ),
      ]
      return {
        servers,
        serverCa: authorities === null ? row.server_ca : authorities.join(''),
        text: parts.join(', '),
      }
    })
  }

  /** Adds a server that keeps the same keys as the others. Throws `not-found`, `invalid`, `already-exists`. */
  async add(name: string, { position, ...server }: AddProviderServer, by: Principal): Promise<KeyProviderView> {
    return this.#change(name, by, (row) => {
      const before = serversOf(row)
      requireNew(name, before, server)
      if (before.length >= providerServersMax) {
        throw new ControlPlaneError('invalid', `host: key provider ${name} has ${providerServersMax} servers already`, {
          field: 'host',
        })
      }
      const servers = before.toSpliced(position ?? before.length, 0, server)
      return { servers, serverCa: row.server_ca, text: `server ${serverName(server)} was added` }
    })
  }

  /** Changes where a server is, or when it is tried; its pinned certificate stays. Throws as `add`. */
  async update(name: string, address: string, change: ChangeProviderServer, by: Principal): Promise<KeyProviderView> {
    return this.#change(name, by, (row) => {
      const before = serversOf(row)
      const index = indexOf(name, before, address)
      const { position, ...place } = change
      // The index was found.
      const moved = { ...(before[index] as KmipServerWish), ...place }
      const others = before.toSpliced(index, 1)
      requireNew(name, others, moved)
      const servers = others.toSpliced(position ?? index, 0, moved)
      return {
        servers,
        serverCa: row.server_ca,
        text: `server ${address} is ${serverName(moved)}, number ${servers.indexOf(moved) + 1}, from now on`,
      }
    })
  }

  /** Forgets a server; the last one stays. Throws `not-found`, `invalid`. */
  async remove(name: string, address: string, by: Principal): Promise<KeyProviderView> {
    return this.#change(name, by, (row) => {
      const before = serversOf(row)
      const index = indexOf(name, before, address)
      if (before.length === 1) {
        throw new ControlPlaneError(
          'invalid',
          `${address} is the only server of key provider ${name}: add another one first, or change its address with «key-provider server update»`,
        )
      }
      return { servers: before.toSpliced(index, 1), serverCa: row.server_ca, text: `server ${address} was removed` }
    })
  }

  async #change(name: string, by: Principal, plan: (row: KeyProviderRow) => Change): Promise<KeyProviderView> {
    const view = await this.#events.transaction(async (transaction, record) => {
      const before = await findStandardRow(transaction, name)
      const { servers, serverCa, text } = plan(before)
      const after = { ...before, servers: JSON.stringify(servers), server_ca: serverCa }
      if (after.servers === before.servers && after.server_ca === before.server_ca) {
        return toView(before, await companionsOf(transaction, name))
      }
      const identities = await transaction
        .selectFrom('provider_identity')
        .selectAll()
        .where('provider', '=', name)
        .execute()
      for (const identity of identities) {
        await transaction
          .updateTable('provider_identity')
          .set({ key_sealed: this.#store.reseal(before, after, identity) })
          .where('id', '=', identity.id)
          .execute()
      }
      await transaction
        .updateTable('key_provider')
        .set({ servers: after.servers, server_ca: after.server_ca })
        .where('name', '=', name)
        .execute()
      await record({
        type: 'key-provider.changed',
        provider: name,
        text: `key provider ${name}: ${text}`,
        user: by.name,
      })
      return toView(after, await companionsOf(transaction, name))
    })
    this.#registry.changed(name)
    return view
  }
}

/** Where the server is in the list. Throws `not-found`. */
function indexOf(provider: string, servers: readonly KmipServerWish[], address: string): number {
  const index = servers.findIndex((server) => serverName(server) === address)
  if (index >= 0) return index
  const there = servers.map(serverName).join(', ')
  throw new ControlPlaneError('not-found', `key provider ${provider} has no server ${address}; it has ${there}`, {
    field: 'server',
  })
}

function requireNew(provider: string, servers: readonly KmipServerWish[], server: KmipServerWish): void {
  if (!servers.some((other) => serverName(other) === serverName(server))) return
  throw new ControlPlaneError(
    'already-exists',
    `host: key provider ${provider} has the server ${serverName(server)} already`,
    {
      field: 'host',
    },
  )
}
