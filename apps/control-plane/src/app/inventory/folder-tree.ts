import type { Kysely } from 'kysely'
import type { FolderRow } from '../../database/access-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { type ObjectPath, rootPath, within } from './inventory-object.ts'

/** How deep folders lie in each other at most. */
export const folderDepthMax = 16

/** All folders at one moment. */
export class FolderTree {
  readonly #byId: ReadonlyMap<string, FolderRow>
  readonly #paths = new Map<string, ObjectPath>()

  constructor(rows: readonly FolderRow[]) {
    this.#byId = new Map(rows.map((row) => [row.id, row]))
  }

  static async read(database: Kysely<Schema>): Promise<FolderTree> {
    return new FolderTree(await database.selectFrom('folder').selectAll().execute())
  }

  /** In no order. */
  get rows(): readonly FolderRow[] {
    return [...this.#byId.values()]
  }

  has(id: string): boolean {
    return this.#byId.has(id)
  }

  /** The folder and all that it lies in; for `null`, and for one that is gone, the root. */
  pathOf(id: string | null): ObjectPath {
    if (id === null) return rootPath
    const known = this.#paths.get(id)
    if (known !== undefined) return known
    const path = this.#climb(id, 0)
    this.#paths.set(id, path)
    return path
  }

  /** Such as `/Sales/Berlin`; `/` for the root. */
  nameOf(id: string | null): string {
    return this.pathOf(id)[0].name
  }

  /** The folder at a path such as `/Sales/Berlin`, or with an ID; `null` for the root. Throws `not-found`, naming `field`. */
  find(pathOrId: string, field: string): FolderRow | null {
    if (pathOrId === '/') return null
    const row = pathOrId.startsWith('/') ? this.#walk(pathOrId.slice(1).split('/')) : this.#get(pathOrId)
    if (row !== undefined) return row
    throw new ControlPlaneError('not-found', `${field}: there is no folder ${pathOrId}`, { field })
  }

  childrenOf(id: string | null): readonly FolderRow[] {
    return this.rows.filter((row) => row.parent_id === id)
  }

  #walk(names: readonly string[]): FolderRow | undefined {
    let at: FolderRow | undefined
    for (const name of names) {
      at = this.childrenOf(at?.id ?? null).find((row) => row.name === name)
      if (at === undefined) return undefined
    }
    return at
  }

  #climb(id: string | null, depth: number): ObjectPath {
    const row = this.#get(id)
    if (row === undefined || depth === folderDepthMax) return rootPath
    const above = this.#climb(row.parent_id, depth + 1)
    const name = above[0].kind === 'root' ? `/${row.name}` : `${above[0].name}/${row.name}`
    return within({ kind: 'folder', id: row.id, name }, above)
  }

  #get(id: string | null): FolderRow | undefined {
    return id === null ? undefined : this.#byId.get(id)
  }
}
