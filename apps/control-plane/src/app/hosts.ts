import type { Host } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { HostKeyGapRow } from '../database/host-rows.ts'
import type { HostRow, Schema } from '../database/schema.ts'
import { timeText, timeTextOrNull } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { hostCrypto } from './host-crypto-view.ts'
import type { HostSessions } from './host-sessions.ts'
import { within } from './inventory/inventory-object.ts'
import { clusterPath } from './inventory/object-paths.ts'
import { keyReference } from './key-reference.ts'
import type { HostObserver, Principal } from './ports.ts'
import { type HostMachines, hostMachines } from './work/machines/host-machines.ts'

/** The hosts that were enrolled. */
export class Hosts {
  readonly #database: Kysely<Schema>
  readonly #sessions: HostSessions
  readonly #observer: () => HostObserver

  constructor(database: Kysely<Schema>, sessions: HostSessions, observer: () => HostObserver) {
    this.#database = database
    this.#sessions = sessions
    this.#observer = observer
  }

  /** Those that `by` may see, by name. */
  async list(by: Principal): Promise<Host[]> {
    const gaps = new Map((await this.#gaps().execute()).map((gap) => [gap.host_id, gap]))
    const machines = await hostMachines(this.#database)
    return (await this.#rows().orderBy('host.name').execute())
      .filter(({ id, name, cluster_id, cluster }) =>
        by.can('System.Read', within({ kind: 'host', id, name }, clusterPath(cluster_id, cluster))),
      )
      .map((row) => this.#toHost(row, gaps.get(row.id) ?? null, machines))
  }

  /** By name or ID. Throws `not-found`. */
  async get(nameOrId: string): Promise<Host> {
    const row = await this.#row(nameOrId)
    const gap = (await this.#gaps().where('host_id', '=', row.id).executeTakeFirst()) ?? null
    return this.#toHost(row, gap, await hostMachines(this.#database, row.id))
  }

  /**
   * Takes a host out: its certificate is worthless, it was asked to forget its keys and its session is over when this
   * returns. Throws `not-found`, and `in-use` while VMs are on it.
   */
  async remove(nameOrId: string, by: Principal): Promise<void> {
    const host = await this.#row(nameOrId)
    await this.#observer().removeHost(host, by)
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

  #toHost(row: HostRow & { cluster: string }, gap: HostKeyGapRow | null, machines: HostMachines): Host {
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
      runningCount: machines.running.get(row.id) ?? 0,
      strayMachines: machines.strays.get(row.id) ?? [],
    }
  }
}
