import type { Host } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { HostKeyGapRow } from '../database/host-rows.ts'
import type { HostRow, Schema } from '../database/schema.ts'
import { type Clock, timeText, timeTextOrNull } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { hostCrypto } from './host-crypto-view.ts'
import type { HostSessions } from './host-sessions.ts'
import { within } from './inventory/inventory-object.ts'
import { clusterPath } from './inventory/object-paths.ts'
import { keyReference } from './key-reference.ts'
import { forgetPermissions } from './permissions/permission-store.ts'
import type { HostObserver, Leaving, Principal } from './ports.ts'
import { isRehearsed } from './rehearsal.ts'
import { recordExposed } from './work/hosts/exposed-keys.ts'
import { keptText, keptUntil } from './work/hosts/kept-keys.ts'

/** How long a host that leaves has for forgetting its keys; what it did not confirm by then is exposed. */
const leaveWithinMsMax = 120_000

/** The hosts that were enrolled. */
export class Hosts {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #sessions: HostSessions
  readonly #observer: () => HostObserver
  readonly #clock: Clock
  readonly #leaveWithinMs: number

  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    sessions: HostSessions,
    observer: () => HostObserver,
    clock: Clock,
    leaveWithinMs = leaveWithinMsMax,
  ) {
    this.#database = database
    this.#events = events
    this.#sessions = sessions
    this.#observer = observer
    this.#clock = clock
    this.#leaveWithinMs = leaveWithinMs
  }

  /** Those that `by` may see, by name. */
  async list(by: Principal): Promise<Host[]> {
    const gaps = new Map((await this.#gaps().execute()).map((gap) => [gap.host_id, gap]))
    return (await this.#rows().orderBy('host.name').execute())
      .filter(({ id, name, cluster_id, cluster }) =>
        by.can('System.Read', within({ kind: 'host', id, name }, clusterPath(cluster_id, cluster))),
      )
      .map((row) => this.#toHost(row, gaps.get(row.id) ?? null))
  }

  /** By name or ID. Throws `not-found`. */
  async get(nameOrId: string): Promise<Host> {
    const row = await this.#row(nameOrId)
    return this.#toHost(row, (await this.#gaps().where('host_id', '=', row.id).executeTakeFirst()) ?? null)
  }

  /**
   * Takes a host out: its certificate is worthless, it was asked to forget its keys and its session is over when this
   * returns. Throws `not-found`, and `in-use` while VMs are on it.
   */
  async remove(nameOrId: string, by: Principal): Promise<void> {
    const host = await this.#row(nameOrId)
    await this.#observer().checkHostRemoval(host)
    await this.#events.transaction(async (transaction, record) => {
      await transaction.deleteFrom('host').where('id', '=', host.id).execute()
      await forgetPermissions(transaction, 'host', host.id)
      // Nothing uses its host key any more, so that its provider can be removed.
      await transaction
        .updateTable('key')
        .set({ state: 'retired', retired_at: this.#clock() })
        .where('owner_kind', '=', 'host')
        .where('owner_id', '=', host.id)
        .where('state', '=', 'current')
        .execute()
      const text = `${host.name} was removed and its certificate revoked`
      await record({ type: 'host.removed', host: host.name, text, user: by.name })
    })
    if (isRehearsed()) return
    await this.#recordLeaving(host, await this.#leave(host), by)
  }

  /** Has it forget its keys, and ends its session in any case: a host that is slow on purpose cannot put that off. */
  async #leave(host: HostRow): Promise<Leaving> {
    const end = () => this.#sessions.end(host.id, 'it was removed')
    const timer = setTimeout(end, this.#leaveWithinMs)
    try {
      return await this.#observer().hostLeaves(host)
    } finally {
      clearTimeout(timer)
      end()
    }
  }

  async #recordLeaving(row: HostRow, { forgotten, exposed }: Leaving, by: Principal): Promise<void> {
    const host = row.name
    if (forgotten.length > 0) {
      const text = `${host} forgot ${forgotten.length} ${forgotten.length === 1 ? 'key' : 'keys'} and confirmed it`
      await this.#events.record({ type: 'host.crypto.keys-forgotten', host, text, user: by.name })
    }
    await recordExposed(this.#database, row, exposed, 'removed', this.#clock())
    const kept = keptText(keptUntil(row, this.#clock()))
    for (const { provider, keyId } of exposed) {
      const text = `${host} was removed and did not confirm that it forgot key ${keyId} of provider ${provider}: stop its agent, or decrypt and encrypt anew what the key protects${kept}`
      await this.#events.record({ type: 'host.crypto.key-exposed', host, provider, keyId, text, user: by.name })
    }
  }

  #rows() {
    return this.#database
      .selectFrom('host')
      .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
      .selectAll('host')
      .select('cluster.name as cluster')
  }

  #gaps() {
    return this.#database.selectFrom('host_key_gap').selectAll()
  }

  async #row(nameOrId: string): Promise<HostRow & { cluster: string }> {
    const row =
      (await this.#rows().where('host.id', '=', nameOrId).executeTakeFirst()) ??
      (await this.#rows().where('host.name', '=', nameOrId).executeTakeFirst())
    if (row === undefined) throw new ControlPlaneError('not-found', `there is no host ${nameOrId}`)
    return row
  }

  #toHost(row: HostRow & { cluster: string }, gap: HostKeyGapRow | null): Host {
    const seenAt = this.#sessions.lastSeenAt(row.id)
    const hostKey = keyReference(row.host_key_provider, row.host_key_id)
    return {
      id: row.id,
      name: row.name,
      cluster: row.cluster,
      url: row.url,
      hardwareUuid: row.hardware_uuid,
      connection: seenAt === null ? 'disconnected' : 'connected',
      lastSeenAt: timeTextOrNull(seenAt ?? row.last_seen_at),
      version: row.version,
      ...hostCrypto(row, gap, seenAt !== null),
      cryptoDisabledAt: timeTextOrNull(row.crypto_off_at),
      decommissionedAt: timeTextOrNull(row.decommissioned_at),
      hostKey,
      certificateExpiresAt: timeText(row.certificate_expires_at),
    }
  }
}
