import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { type ObjectPath, rootPath } from './inventory-object.ts'
import { type ObjectName, objectPath, pathOfId } from './object-paths.ts'

/** A task as far as permissions care: what it works on, and who began it. */
export interface TaskObject {
  /** Of its target; the root for one that is gone, and for what is no object of the inventory. */
  readonly path: ObjectPath
  readonly user: string
}

/** Finds the objects that requests are about. */
export class Objects {
  readonly #database: Kysely<Schema>

  constructor(database: Kysely<Schema>) {
    this.#database = database
  }

  /** Throws `not-found`, naming `field` where an input named it. */
  path(named: ObjectName, field?: string): Promise<ObjectPath> {
    return objectPath(this.#database, named, field)
  }

  /** Throws `not-found`. */
  async ofTask(id: string): Promise<TaskObject> {
    const row = await this.#database
      .selectFrom('task')
      .select(['target_kind', 'target_id', 'user_name'])
      .where('id', '=', id)
      .executeTakeFirst()
    if (row === undefined) throw new ControlPlaneError('not-found', `there is no task ${id}`, { field: 'task' })
    const { target_kind: kind, target_id } = row
    const isObject = kind === 'vm' || kind === 'host' || kind === 'cluster' || kind === 'key-provider'
    const path = isObject ? await pathOfId(this.#database, { kind, id: target_id }) : null
    return { path: path ?? rootPath, user: row.user_name }
  }
}
