import type { Secret } from '@cryptvisor/secret'
import type { AuditRecord } from '../audit-record.ts'
import type { StoredObject } from './stored-object.ts'

/**
 * Where managed objects lie. `exerciseObjectStore` is the test of every implementation. Methods reject only when the
 * storage is broken: then nothing of the transaction has happened.
 */
export interface ObjectStore {
  /**
   * Runs `run` with a view of its own. When it returns, all of its changes are on stable storage before the promise
   * resolves; when it throws, none is ever seen.
   */
  transaction<Result>(run: (transaction: ObjectTransaction) => Promise<Result>): Promise<Result>
}

export type LocateOrder = 'oldest-first' | 'newest-first'

/** One transaction; of no use after it ended. An object of another owner is like one that does not exist. */
export interface ObjectTransaction {
  /** Adds an object and its value, which stays the caller's. The id must be new. */
  insert(object: StoredObject, value: Secret): Promise<void>
  /** `null` when there is none of this owner. */
  load(owner: string, id: string): Promise<StoredObject | null>
  /** The value, of which the caller disposes; `null` when it was erased. */
  loadValue(object: StoredObject): Promise<Secret | null>
  /** Replaces the object of this id; its value, type, owner and format stay. */
  update(object: StoredObject): Promise<void>
  /** Makes the value unreadable, in older copies too as far as that can be done. */
  eraseValue(object: StoredObject): Promise<void>
  /**
   * The owner's objects that are not destroyed and have all of `keys` among their `indexKeys`, in the order of their
   * ids, which rise with time; all of them when no key is given.
   */
  locate(owner: string, keys: readonly string[], order: LocateOrder): AsyncIterable<StoredObject>
  /** Adds to the audit. */
  append(record: AuditRecord): Promise<void>
}
