import { type EventType, type Health, KeyProviderStatus } from '@cryptvisor/control-plane-api'
import type { KeyProvider, ProviderStatus } from '@cryptvisor/key-provider'
import type { Kysely } from 'kysely'
import { Parse } from 'typebox/value'
import type { ProviderHealthRow } from '../../database/provider-rows.ts'
import type { KeyProviderRow, Schema } from '../../database/schema.ts'
import { type Clock, timeText } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import type { KeyProviders } from '../ports.ts'
import { missingOf, serversOf } from '../provider-view.ts'
import { changedCertificates } from './changed-certificates.ts'
import { type Judgement, judge } from './judgement.ts'
import { ProbeKeys } from './probe-keys.ts'
import { findProviderRow, identityOf } from './provider-rows.ts'

/** How key providers are: found out by probes, and kept in the database. */
export class ProviderHealth {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #providers: KeyProviders
  readonly #clock: Clock
  readonly #connectTimeoutMs: number
  readonly #keys: ProbeKeys
  /** Probes that are under way: whoever asks meanwhile gets the same answer. */
  readonly #running = new Map<string, Promise<KeyProviderStatus>>()

  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    providers: KeyProviders,
    clock: Clock,
    connectTimeoutMs: number,
  ) {
    this.#database = database
    this.#events = events
    this.#providers = providers
    this.#clock = clock
    this.#connectTimeoutMs = connectTimeoutMs
    this.#keys = new ProbeKeys(database, clock)
  }

  /** As the last probe found it, asking nobody; `null`: there was none yet. */
  async providerHealth(name: string): Promise<KeyProviderStatus | null> {
    const row = await this.#row(name)
    return row === null ? null : statusOf(row)
  }

  /**
   * Finds out how a provider is, by the whole life of a key, writes it down, and makes an event when that changed. One
   * that is not set up yet is red, and nothing is written. Throws `not-found`.
   */
  async probe(name: string): Promise<KeyProviderStatus> {
    const running = this.#running.get(name)
    if (running !== undefined) return running
    const probing = this.#probe(name).finally(() => this.#running.delete(name))
    this.#running.set(name, probing)
    return probing
  }

  /** Finds out how a provider would be that is opened in another way; writes nothing of it but the probe's key. */
  async tryOut(provider: KeyProvider): Promise<ProviderStatus> {
    return provider.probe(this.#keys.watch(provider.id))
  }

  /** The providers that are set up, and when each was probed last. */
  async due(): Promise<{ name: string; probedAt: number | null }[]> {
    const rows = await this.#database
      .selectFrom('key_provider')
      .leftJoin('provider_health', 'provider_health.provider', 'key_provider.name')
      .selectAll('key_provider')
      .leftJoin('native_provider', 'native_provider.provider', 'key_provider.name')
      .select(['provider_health.probed_at', 'native_provider.generation'])
      .execute()
    const due: { name: string; probedAt: number | null }[] = []
    for (const { probed_at, generation, ...row } of rows) {
      const active = await identityOf(this.#database, row.name, 'active')
      // A native one has no trust to set up, and says by itself when its backup is missing.
      if (generation !== null || missingOf(row, active, null) === null)
        due.push({ name: row.name, probedAt: probed_at })
    }
    return due
  }

  /** Resolves when no probe is under way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#running.values()])
  }

  async #probe(name: string): Promise<KeyProviderStatus> {
    const row = await findProviderRow(this.#database, name)
    const active = await identityOf(this.#database, name, 'active')
    let provider: KeyProvider
    try {
      provider = await this.#providers.get(name)
    } catch (error) {
      if (!(error instanceof ControlPlaneError && error.code === 'no-key-provider')) throw error
      return this.#notSetUp(row, missingOf(row, active, null) ?? error.message)
    }
    await this.#keys.clean(provider)
    const status = await provider.probe(this.#keys.watch(name))
    const changed = await changedCertificates(serversOf(row), status, this.#connectTimeoutMs)
    const before = (await this.providerHealth(name))?.servers
    const judgement = judge(status, changed, row, active, this.#clock(), before)
    return this.#keep(name, judgement, status, new Set(changed.keys()))
  }

  #notSetUp(row: KeyProviderRow, missing: string): KeyProviderStatus {
    const now = timeText(this.#clock())
    const text = `not set up: ${missing}`
    return { name: row.name, health: 'red', text, since: now, probedAt: now, servers: [] }
  }

  /** `changed`: the servers whose certificate is another than the pinned one. */
  async #keep(
    name: string,
    { health, text, servers }: Judgement,
    status: ProviderStatus,
    changed: ReadonlySet<string>,
  ): Promise<KeyProviderStatus> {
    const now = this.#clock()
    return this.#events.transaction(async (transaction, record) => {
      // It may have been removed meanwhile.
      await findProviderRow(transaction, name)
      const before = await transaction
        .selectFrom('provider_health')
        .selectAll()
        .where('provider', '=', name)
        .executeTakeFirst()
      const row: ProviderHealthRow = {
        provider: name,
        health,
        text,
        since: before?.health === health ? before.since : now,
        probed_at: now,
        servers: JSON.stringify(servers),
      }
      await transaction
        .insertInto('provider_health')
        .values(row)
        .onConflict((conflict) => conflict.column('provider').doUpdateSet(row))
        .execute()
      const type = changeType(before?.health ?? null, health, status)
      if (type !== null) {
        await record({ type, provider: name, text: `key provider ${name} ${verbs[health]}: ${text}` })
      }
      for (const server of servers.filter(({ address }) => changed.has(address))) {
        const found = server.certificate?.fingerprint256
        if (before !== undefined && shownBefore(before, server.address) === found) continue
        const detail = `server ${server.address} of key provider ${name} is refused: ${server.text}`
        await record({ type: 'key-provider.certificate-changed', provider: name, text: detail })
      }
      return statusOf(row)
    })
  }

  async #row(name: string): Promise<ProviderHealthRow | null> {
    const row = await this.#database
      .selectFrom('provider_health')
      .selectAll()
      .where('provider', '=', name)
      .executeTakeFirst()
    return row ?? null
  }
}

/** What users see of a probe that was written down. */
export function statusOf(row: ProviderHealthRow): KeyProviderStatus {
  return {
    name: row.provider,
    health: row.health,
    text: row.text,
    since: timeText(row.since),
    probedAt: timeText(row.probed_at),
    servers: Parse(KeyProviderStatus.properties.servers, JSON.parse(row.servers)),
  }
}

/** The fingerprint of what the server showed when it was probed before. */
function shownBefore(before: ProviderHealthRow, address: string): string | null {
  const server = statusOf(before).servers.find((candidate) => candidate.address === address)
  return server?.certificate?.fingerprint256 ?? null
}

const verbs: Readonly<Record<Health, string>> = {
  green: 'is well',
  yellow: 'works, and wants attention',
  red: 'does not work',
}

/** The event of a change; `null`: there was none, or it was green from the start. */
function changeType(before: Health | null, after: Health, status: ProviderStatus): EventType | null {
  if (before === after || (before === null && after === 'green')) return null
  if (after === 'green') return 'key-provider.healthy'
  if (after === 'yellow') return 'key-provider.degraded'
  const isUnreachable = status.servers.some((server) => !server.isReachable || !server.isTrusted)
  return isUnreachable ? 'kms.crypto.connection-error' : 'key-provider.unhealthy'
}
