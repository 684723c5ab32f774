import type { Cluster, CreateCluster } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import { v7 } from 'uuid'
import type { ClusterRow, Schema } from '../database/schema.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { within } from './inventory/inventory-object.ts'
import { clusterPath } from './inventory/object-paths.ts'
import { forgetPermissions } from './permissions/permission-store.ts'
import type { Principal } from './ports.ts'
import { orExists } from './unique.ts'

/** Clusters: hosts that share datastores, and whose keys all of them hold. */
export class Clusters {
  readonly #database: Kysely<Schema>

  constructor(database: Kysely<Schema>) {
    this.#database = database
  }

  /** Those that `by` may see, by name, each with the names of its hosts that `by` may see. */
  async list(by: Principal): Promise<Cluster[]> {
    const clusters = await this.#database.selectFrom('cluster').selectAll().orderBy('name').execute()
    const hosts = await this.#database.selectFrom('host').select(['id', 'name', 'cluster_id']).orderBy('name').execute()
    return clusters.flatMap(({ id, name, crypto_forced }) => {
      const path = clusterPath(id, name)
      if (!by.can('System.Read', path)) return []
      const seen = hosts
        .filter((host) => host.cluster_id === id)
        .filter((host) => by.can('System.Read', within({ kind: 'host', id: host.id, name: host.name }, path)))
      const cryptoMode = crypto_forced === 1 ? ('force-enable' as const) : ('on-demand' as const)
      return [{ id, name, cryptoMode, hosts: seen.map((host) => host.name) }]
    })
  }

  /** Throws `already-exists`. */
  async create({ name }: CreateCluster): Promise<Cluster> {
    const row: Pick<ClusterRow, 'id' | 'name'> = { id: v7(), name }
    await orExists('name', `there is a cluster ${name} already: choose another`, () =>
      this.#database.insertInto('cluster').values(row).execute(),
    )
    return { ...row, hosts: [], cryptoMode: 'on-demand' }
  }

  /** Throws `not-found`; `in-use` while it has hosts or datastores. */
  async remove(name: string): Promise<void> {
    await this.#database.transaction().execute(async (transaction) => {
      const { id } = await clusterNamed(transaction, name)
      for (const table of ['host', 'datastore'] as const) {
        const user = await transaction.selectFrom(table).select('name').where('cluster_id', '=', id).executeTakeFirst()
        if (user === undefined) continue
        throw new ControlPlaneError('in-use', `cluster ${name} has the ${table} ${user.name}: remove that first`)
      }
      await transaction.deleteFrom('cluster').where('id', '=', id).execute()
      await forgetPermissions(transaction, 'cluster', id)
    })
  }
}

/** The cluster of that name. Throws `not-found`, naming `field` where an input named it. */
export async function clusterNamed(database: Kysely<Schema>, name: string, field?: string): Promise<ClusterRow> {
  const row = await database.selectFrom('cluster').selectAll().where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row
  throw new ControlPlaneError('not-found', `there is no cluster ${name}`, field === undefined ? {} : { field })
}
