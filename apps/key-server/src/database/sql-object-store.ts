import { type Barrier, type Context, KeyStore } from '@cryptvisor/key-store'
import {
  type AuditRecord,
  indexKeys,
  type LocateOrder,
  type ObjectStore,
  type ObjectTransaction,
  type StoredObject,
  singleValue,
} from '@cryptvisor/kmip-server'
import type { Secret } from '@cryptvisor/secret'
import { emptyWriteAheadLog } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import { AuditLog } from './audit-log.ts'
import { GroupCommit } from './group-commit.ts'
import { fromRow, toRow } from './object-row.ts'
import type { Schema } from './schema.ts'
import { SqlPhysical } from './sql-physical.ts'

/** How many objects are read at once while objects are located. */
const locatePageSize = 200

/** Managed objects in the database, their values sealed by the barrier. */
export class SqlObjectStore implements ObjectStore {
  readonly #db: Kysely<Schema>
  readonly #barrier: Barrier
  readonly #commits: GroupCommit<Schema>

  constructor(db: Kysely<Schema>, barrier: Barrier) {
    this.#db = db
    this.#barrier = barrier
    this.#commits = new GroupCommit(db)
  }

  async transaction<Result>(run: (transaction: ObjectTransaction) => Promise<Result>): Promise<Result> {
    let hasErased = false
    const result = await this.#commits.run(async (db) => {
      const transaction = new SqlObjectTransaction(db, this.#barrier)
      const returned = await run(transaction)
      hasErased = transaction.hasErased
      return returned
    })
    // What was erased is still in the log until that is emptied.
    if (hasErased) await emptyWriteAheadLog(this.#db)
    return result
  }
}

class SqlObjectTransaction implements ObjectTransaction {
  readonly #db: Kysely<Schema>
  readonly #keys: KeyStore
  hasErased = false

  constructor(db: Kysely<Schema>, barrier: Barrier) {
    this.#db = db
    this.#keys = new KeyStore(new SqlPhysical(db), barrier)
  }

  async insert(object: StoredObject, value: Secret): Promise<void> {
    await this.#db.insertInto('object').values(toRow(object)).execute()
    await this.#insertKeys(object)
    await this.#keys.put(object.id, contextOf(object), value)
  }

  async load(owner: string, id: string): Promise<StoredObject | null> {
    const query = this.#db.selectFrom('object').selectAll().where('id', '=', id).where('owner', '=', owner)
    const row = await query.executeTakeFirst()
    return row === undefined ? null : fromRow(row)
  }

  async loadValue(object: StoredObject): Promise<Secret | null> {
    return await this.#keys.get(object.id, contextOf(object))
  }

  async update(object: StoredObject): Promise<void> {
    const { id, attributes, next_indexes, is_destroyed } = toRow(object)
    const change = { attributes, next_indexes, is_destroyed }
    await this.#db.updateTable('object').set(change).where('id', '=', id).execute()
    await this.#updateKeys(object)
  }

  async eraseValue(object: StoredObject): Promise<void> {
    await this.#keys.erase(object.id)
    this.hasErased = true
  }

  async *locate(owner: string, keys: readonly string[], order: LocateOrder): AsyncIterable<StoredObject> {
    const [direction, beyond] = order === 'oldest-first' ? (['asc', '>'] as const) : (['desc', '<'] as const)
    let last: string | undefined
    for (;;) {
      let query = this.#db
        .selectFrom('object')
        .selectAll()
        .where('owner', '=', owner)
        .where('is_destroyed', '=', 0)
        .orderBy('id', direction)
        .limit(locatePageSize)
      for (const key of keys) {
        query = query.where('id', 'in', (from) =>
          from.selectFrom('object_key').select('object_id').where('object_key', '=', key),
        )
      }
      if (last !== undefined) query = query.where('id', beyond, last)
      const page = await query.execute()
      for (const row of page) yield fromRow(row)
      last = page.at(-1)?.id
      if (page.length < locatePageSize) return
    }
  }

  async append(record: AuditRecord): Promise<void> {
    await new AuditLog(this.#db).append(record)
  }

  async #insertKeys(object: StoredObject): Promise<void> {
    for (const key of indexKeys(object)) {
      await this.#db.insertInto('object_key').values({ object_key: key, object_id: object.id }).execute()
    }
  }

  /** Most changes leave all keys as they are. */
  async #updateKeys(object: StoredObject): Promise<void> {
    const query = this.#db.selectFrom('object_key').select('object_key').where('object_id', '=', object.id)
    const before = new Set((await query.execute()).map((row) => row.object_key))
    const after = indexKeys(object)
    for (const key of before.difference(after)) {
      await this.#db.deleteFrom('object_key').where('object_key', '=', key).where('object_id', '=', object.id).execute()
    }
    for (const key of after) {
      if (before.has(key)) continue
      await this.#db.insertInto('object_key').values({ object_key: key, object_id: object.id }).execute()
    }
  }
}

/** What a value is bound to: all that never changes, so that neither rows nor what they say can be swapped. */
function contextOf(object: StoredObject): Context {
  return {
    id: object.id,
    owner: object.owner,
    objectType: object.objectType,
    format: JSON.stringify(object.format),
    algorithm: String(singleValue(object, 'Cryptographic Algorithm') ?? ''),
    length: singleValue(object, 'Cryptographic Length') ?? 0,
    usageMask: singleValue(object, 'Cryptographic Usage Mask') ?? 0,
  }
}
