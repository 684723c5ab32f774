import { posix } from 'node:path'
import type { CreateDatastore, Datastore } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import { v7 } from 'uuid'
import type { DatastoreRow, Schema } from '../database/schema.ts'
import { clusterNamed } from './clusters.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { within } from './inventory/inventory-object.ts'
import { clusterPath } from './inventory/object-paths.ts'
import { forgetPermissions } from './permissions/permission-store.ts'
import type { Principal } from './ports.ts'
import { orExists } from './unique.ts'

/** Datastores: folders that every host of a cluster sees at the same path. */
export class Datastores {
  readonly #database: Kysely<Schema>

  constructor(database: Kysely<Schema>) {
    this.#database = database
  }

  /** Those that `by` may see, by name. */
  async list(by: Principal): Promise<Datastore[]> {
    const rows = await this.#database
      .selectFrom('datastore')
      .innerJoin('cluster', 'cluster.id', 'datastore.cluster_id')
      .select(['datastore.id', 'datastore.name', 'cluster.id as clusterId', 'cluster.name as cluster', 'path'])
      .orderBy('datastore.name')
      .execute()
    return rows.flatMap(({ clusterId, ...datastore }) => {
      const { id, name, cluster } = datastore
      const path = within({ kind: 'datastore', id, name }, clusterPath(clusterId, cluster))
      return by.can('System.Read', path) ? [datastore] : []
    })
  }

  /** Throws `invalid` for a path that is not plain, `not-found` for the cluster, `already-exists`. */
  async create({ name, cluster, path }: CreateDatastore): Promise<Datastore> {
    if (!isPlainPath(path)) {
      throw new ControlPlaneError('invalid', 'path: expected an absolute path without . and .. and doubled slashes', {
        field: 'path',
      })
    }
    const { id } = await clusterNamed(this.#database, cluster, 'cluster')
    const row: DatastoreRow = { id: v7(), name, cluster_id: id, path }
    await orExists('name', `there is a datastore ${name} already, or one at ${path} in cluster ${cluster}`, () =>
      this.#database.insertInto('datastore').values(row).execute(),
    )
    return { id: row.id, name, cluster, path }
  }

  /** Takes it out of the inventory; its files stay. Throws `not-found`; `in-use` while VMs or detached disks are on it. */
  async remove(name: string): Promise<void> {
    await this.#database.transaction().execute(async (transaction) => {
      const row = await transaction.selectFrom('datastore').select('id').where('name', '=', name).executeTakeFirst()
      if (row === undefined) throw new ControlPlaneError('not-found', `there is no datastore ${name}`)
      const vm = await transaction
        .selectFrom('vm')
        .select('name')
        .where('datastore_id', '=', row.id)
        .limit(1)
        .executeTakeFirst()
      if (vm !== undefined) {
        throw new ControlPlaneError('in-use', `the VM ${vm.name} is on datastore ${name}: delete that first`)
      }
      const layer = await transaction
        .selectFrom('detached_disk')
        .select('layer_id')
        .where('datastore_id', '=', row.id)
        .executeTakeFirst()
      if (layer !== undefined) {
        throw new ControlPlaneError(
          'in-use',
          `the detached disk ${layer.layer_id} lies on datastore ${name}: attach it to a VM, or remove it («disk remove --detached ${layer.layer_id}»)`,
        )
      }
      await transaction.deleteFrom('datastore').where('id', '=', row.id).execute()
      await forgetPermissions(transaction, 'datastore', row.id)
    })
  }
}

/** What the agent compares paths with; what is not printed as it is would be a trap in a log. */
function isPlainPath(path: string): boolean {
  return (
    posix.isAbsolute(path) &&
    posix.resolve(path) === path &&
    path !== '/' &&
    !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(path)
  )
}
