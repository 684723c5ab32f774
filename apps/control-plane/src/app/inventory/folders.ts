import type { CreateFolder, Folder, RenameFolder } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { FolderRow } from '../../database/access-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { requirePrivileges } from '../access-control.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { forgetPermissions } from '../permissions/permission-store.ts'
import type { Principal } from '../ports.ts'
import { orExists } from '../unique.ts'
import { FolderTree, folderDepthMax } from './folder-tree.ts'
import { within } from './inventory-object.ts'

/** How many folders there are at most. */
export const foldersMax = 10_000

/** Folders of VMs: permissions on one count for the folders and VMs in it. */
export class Folders {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#clock = clock
  }

  /** Those that `by` may see with the VMs that `by` may see, by path. */
  async list(by: Principal): Promise<Folder[]> {
    const tree = await FolderTree.read(this.#database)
    const vms = await this.#database
      .selectFrom('vm')
      .select(['id', 'name', 'folder_id'])
      .where('folder_id', 'is not', null)
      .orderBy('name')
      .execute()
    const inFolder = Map.groupBy(vms, (vm) => vm.folder_id)
    return tree.rows
      .filter((row) => by.can('System.Read', tree.pathOf(row.id)))
      .map((row) => {
        const path = tree.pathOf(row.id)
        const visible = (inFolder.get(row.id) ?? []).filter(({ id, name }) =>
          by.can('System.Read', within({ kind: 'vm', id, name }, path)),
        )
        return toFolder(tree, row, visible)
      })
      .toSorted((one, other) => (one.path < other.path ? -1 : 1))
  }

  /** Throws `not-found` for the parent, `already-exists`, `invalid` when it would lie too deep. */
  async create({ name, parent = '/' }: CreateFolder, by: Principal): Promise<Folder> {
    return this.#change(name, async (transaction, tree) => {
      const above = tree.find(parent, 'parent')
      requirePrivileges(by, ['Folder.Create'], tree.pathOf(above?.id ?? null))
      if (tree.rows.length >= foldersMax) {
        throw new ControlPlaneError('invalid', `there are ${foldersMax} folders, the most that there can be`)
      }
      requireDepth(depthOf(tree, above) + 1)
      const row: FolderRow = { id: v7(), name, parent_id: above?.id ?? null, created_at: this.#clock() }
      await transaction.insertInto('folder').values(row).execute()
      return { id: row.id, text: (path) => `folder ${path} was made by ${by.name}` }
    })
  }

  /** Throws `not-found`, `already-exists`. */
  async rename(id: string, { name }: RenameFolder, by: Principal): Promise<Folder> {
    return this.#change(name, async (transaction, tree) => {
      const row = requireFolder(tree, id)
      const before = tree.nameOf(row.id)
      await transaction.updateTable('folder').set({ name }).where('id', '=', row.id).execute()
      return { id: row.id, text: (path) => `folder ${before} was renamed to ${path} by ${by.name}` }
    })
  }

  /**
   * With all that lies in it. What permissions above give there changes. Throws `not-found`, `already-exists`, `invalid`
   * when it would lie in itself or too deep, `no-privilege` without `Folder.Move` where it goes.
   */
  async move(id: string, to: string, by: Principal): Promise<Folder> {
    const moved = (tree: FolderTree) => requireFolder(tree, id).name
    return this.#change(moved, async (transaction, tree) => {
      const row = requireFolder(tree, id)
      const target = tree.find(to, 'folder')
      requirePrivileges(by, ['Folder.Move'], tree.pathOf(target?.id ?? null))
      if (tree.pathOf(target?.id ?? null).some((object) => object.id === row.id)) {
        const message = `folder: ${tree.nameOf(row.id)} cannot be moved into itself`
        throw new ControlPlaneError('invalid', message, { field: 'folder' })
      }
      requireDepth(depthOf(tree, target) + heightOf(tree, row))
      const before = tree.nameOf(row.id)
      const parent_id = target?.id ?? null
      await transaction.updateTable('folder').set({ parent_id }).where('id', '=', row.id).execute()
      return { id: row.id, text: (path) => `folder ${before} was moved to ${path} by ${by.name}` }
    })
  }

  /** Throws `not-found`; `in-use` while something lies in it. */
  async remove(id: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const tree = await FolderTree.read(transaction)
      const row = requireFolder(tree, id)
      const path = tree.nameOf(row.id)
      const [child] = tree.childrenOf(row.id)
      const vm = await transaction.selectFrom('vm').select('name').where('folder_id', '=', row.id).executeTakeFirst()
      if (child !== undefined || vm !== undefined) {
        const what = child === undefined ? `VM ${vm?.name}` : `folder ${child.name}`
        throw new ControlPlaneError('in-use', `folder ${path} has the ${what} in it: move or remove that first`)
      }
      await transaction.deleteFrom('folder').where('id', '=', row.id).execute()
      await forgetPermissions(transaction, 'folder', row.id)
      await record({ type: 'folder.changed', text: `folder ${path} was removed by ${by.name}`, user: by.name })
    })
  }

  async #change(
    name: string | ((tree: FolderTree) => string),
    change: (
      transaction: Transaction<Schema>,
      tree: FolderTree,
    ) => Promise<{ readonly id: string; readonly text: (path: string) => string }>,
  ): Promise<Folder> {
    const before = await FolderTree.read(this.#database)
    const taken = typeof name === 'string' ? name : name(before)
    return orExists('name', `there is a folder ${taken} there already: choose another name or place`, () =>
      this.#events.transaction(async (transaction, record) => {
        const { id, text } = await change(transaction, await FolderTree.read(transaction))
        const tree = await FolderTree.read(transaction)
        const row = requireFolder(tree, id)
        await record({ type: 'folder.changed', text: text(tree.nameOf(id)) })
        const vms = await transaction
          .selectFrom('vm')
          .select('name')
          .where('folder_id', '=', id)
          .orderBy('name')
          .execute()
        return toFolder(tree, row, vms)
      }),
    )
  }
}

function toFolder(tree: FolderTree, { id, name }: FolderRow, vms: readonly { readonly name: string }[]): Folder {
  return { id, name, path: tree.nameOf(id), vms: vms.map((vm) => vm.name) }
}

function requireFolder(tree: FolderTree, id: string): FolderRow {
  const row = tree.find(id, 'folder')
  if (row !== null) return row
  throw new ControlPlaneError('invalid', 'folder: the root is no folder: it stays as it is', { field: 'folder' })
}

/** Under the root a folder lies at depth 1. */
const depthOf = (tree: FolderTree, row: FolderRow | null): number => tree.pathOf(row?.id ?? null).length - 1

/** Of a folder with those in it; 1 without any. */
function heightOf(tree: FolderTree, row: FolderRow): number {
  return 1 + Math.max(0, ...tree.childrenOf(row.id).map((child) => heightOf(tree, child)))
}

function requireDepth(depth: number): void {
  if (depth <= folderDepthMax) return
  throw new ControlPlaneError('invalid', `folders lie in each other ${folderDepthMax} deep at most`)
}
