import type { ObjectKind, Privilege } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { FolderTree } from '../inventory/folder-tree.ts'
import { type ObjectPath, rootPath } from '../inventory/inventory-object.ts'
import { anythingIn, clusterPath, pathOfId } from '../inventory/object-paths.ts'
import type { Principal } from '../ports.ts'

/** Objects of one kind: those whose parents are in `parents`, but not those in `minus`, and those in `plus`. */
interface Chosen {
  readonly parents: readonly string[]
  readonly underRoot: boolean
  readonly plus: readonly string[]
  readonly minus: readonly string[]
}

/**
 * Where somebody has a privilege, in a form that a query can use: by the folders and clusters in which they have it, and by
 * the objects on which a permission of theirs says otherwise. Its size does not depend on the number of VMs.
 */
export class Scope {
  /** Everywhere and on everything that will ever be: nothing needs to be asked. */
  readonly everywhere: boolean
  /** On what concerns the whole installation. */
  readonly onRoot: boolean
  readonly #database: Kysely<Schema>
  readonly #vms: Chosen
  readonly #hosts: Chosen
  readonly #clusters: readonly string[]

  private constructor(
    database: Kysely<Schema>,
    everywhere: boolean,
    onRoot: boolean,
    vms: Chosen,
    hosts: Chosen,
    clusters: readonly string[],
  ) {
    this.#database = database
    this.everywhere = everywhere
    this.onRoot = onRoot
    this.#vms = vms
    this.#hosts = hosts
    this.#clusters = clusters
  }

  static async of(database: Kysely<Schema>, by: Principal, privilege: Privilege): Promise<Scope> {
    const onRoot = by.can(privilege, rootPath)
    const exceptions: ObjectPath[] = []
    for (const object of by.grantedOn) {
      const path = object.kind === 'root' ? null : await pathOfId(database, object)
      if (path !== null) exceptions.push(path)
    }
    const everywhere =
      onRoot &&
      by.can(privilege, anythingIn('folder', rootPath)) &&
      exceptions.every((path) => by.can(privilege, path) && by.can(privilege, anythingIn(path[0].kind, path)))
    const tree = await FolderTree.read(database)
    const clusters = await database.selectFrom('cluster').selectAll().execute()
    const chosen = (kind: ObjectKind, parents: readonly string[]): Chosen => {
      const special = exceptions.filter(([object]) => object.kind === kind)
      const ids = (has: boolean) => special.filter((path) => by.can(privilege, path) === has).map(([{ id }]) => id)
      return { parents, underRoot: by.can(privilege, anythingIn(kind, rootPath)), plus: ids(true), minus: ids(false) }
    }
    const folders = tree.rows.filter(({ id }) => by.can(privilege, anythingIn('vm', tree.pathOf(id))))
    const holding = clusters.filter(({ id, name }) => by.can(privilege, anythingIn('host', clusterPath(id, name))))
    return new Scope(
      database,
      everywhere,
      onRoot,
      chosen(
        'vm',
        folders.map(({ id }) => id),
      ),
      chosen(
        'host',
        holding.map(({ id }) => id),
      ),
      clusters.filter(({ id, name }) => by.can(privilege, clusterPath(id, name))).map(({ id }) => id),
    )
  }

  /** The IDs of the VMs, as a subquery. */
  get vmIds() {
    const { parents, underRoot, plus, minus } = this.#vms
    return this.#database
      .selectFrom('vm')
      .select('vm.id')
      .where((where) =>
        where.or([
          where.and([
            where.or([
              where('vm.folder_id', 'in', orNone(parents)),
              ...(underRoot ? [where('vm.folder_id', 'is', null)] : []),
            ]),
            where('vm.id', 'not in', orNone(minus)),
          ]),
          where('vm.id', 'in', orNone(plus)),
        ]),
      )
  }

  /** The IDs of the hosts, as a subquery. */
  get hostIds() {
    const { parents, plus, minus } = this.#hosts
    return this.#database
      .selectFrom('host')
      .select('host.id')
      .where((where) =>
        where.or([
          where.and([where('host.cluster_id', 'in', orNone(parents)), where('host.id', 'not in', orNone(minus))]),
          where('host.id', 'in', orNone(plus)),
        ]),
      )
  }

  get clusterIds(): readonly string[] {
    return orNone(this.#clusters)
  }
}

/** Finds out where somebody has a privilege. */
export class Scopes {
  readonly #database: Kysely<Schema>

  constructor(database: Kysely<Schema>) {
    this.#database = database
  }

  of(by: Principal, privilege: Privilege): Promise<Scope> {
    return Scope.of(this.#database, by, privilege)
  }
}

/** SQL has no empty list; no ID is empty. */
const orNone = (ids: readonly string[]): readonly string[] => (ids.length === 0 ? [''] : ids)
