import type { Secret } from '@cryptvisor/secret'
import type { AuditRecord } from '../audit-record.ts'
import { indexKeys } from '../object/index-keys.ts'
import type { LocateOrder, ObjectStore, ObjectTransaction } from '../object/object-store.ts'
import { isDestroyed, type StoredObject } from '../object/stored-object.ts'

interface Content {
  readonly objects: Map<string, StoredObject>
  readonly values: Map<string, Secret>
  readonly audit: AuditRecord[]
}

/** Objects in memory, for tests and simulations; transactions run one after another. */
export class MemoryObjectStore implements ObjectStore {
  #content: Content = { objects: new Map(), values: new Map(), audit: [] }
  #last: Promise<unknown> = Promise.resolve()

  /** The audit so far. */
  get audit(): readonly AuditRecord[] {
    return this.#content.audit
  }

  transaction<Result>(run: (transaction: ObjectTransaction) => Promise<Result>): Promise<Result> {
    const result = this.#last.then(async () => {
      const { objects, values, audit } = this.#content
      const content = { objects: new Map(objects), values: new Map(values), audit: [...audit] }
      const returned = await run(new MemoryTransaction(content))
      this.#content = content
      for (const [id, value] of values) if (!content.values.has(id)) value[Symbol.dispose]()
      return returned
    })
    this.#last = result.catch(() => undefined)
    return result
  }
}

class MemoryTransaction implements ObjectTransaction {
  readonly #content: Content

  constructor(content: Content) {
    this.#content = content
  }

  async insert(object: StoredObject, value: Secret): Promise<void> {
    if (this.#content.objects.has(object.id)) throw new Error(`object ${object.id} exists`)
    this.#content.objects.set(object.id, object)
    this.#content.values.set(object.id, value.clone())
  }

  async load(owner: string, id: string): Promise<StoredObject | null> {
    const object = this.#content.objects.get(id)
    return object?.owner === owner ? object : null
  }

  async loadValue(object: StoredObject): Promise<Secret | null> {
    return this.#content.values.get(object.id)?.clone() ?? null
  }

  async update(object: StoredObject): Promise<void> {
    if (!this.#content.objects.has(object.id)) throw new Error(`object ${object.id} does not exist`)
    this.#content.objects.set(object.id, object)
  }

  async eraseValue(object: StoredObject): Promise<void> {
    this.#content.values.delete(object.id)
  }

  async *locate(owner: string, keys: readonly string[], order: LocateOrder): AsyncIterable<StoredObject> {
    const oldestFirst = [...this.#content.objects.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1))
    for (const object of order === 'oldest-first' ? oldestFirst : oldestFirst.reverse()) {
      if (object.owner !== owner || isDestroyed(object)) continue
      const own = indexKeys(object)
      if (keys.every((key) => own.has(key))) yield object
    }
  }

  async append(record: AuditRecord): Promise<void> {
    this.#content.audit.push(record)
  }
}
