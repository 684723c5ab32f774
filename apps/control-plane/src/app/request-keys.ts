import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'

/** For how long an answer is kept. */
const keptMs = 86_400_000

/** One request under the key that its sender gave it. */
export interface KeyedRequest {
  readonly user: string
  readonly key: string
}

/** What was answered before. */
export type EarlierAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly text: string | null }
  /** The control plane died before it answered, and this task had been begun. */
  | { readonly kind: 'task'; readonly taskId: string }

const current = new AsyncLocalStorage<KeyedRequest>()

/**
 * Remembers what was answered to requests with an `Idempotency-Key`, for a day, so that a request which is sent again,
 * since its answer got lost, is answered again and not carried out again
 * (draft-ietf-httpapi-idempotency-key-header, section 2).
 */
export class RequestKeys {
  readonly #database: Kysely<Schema>
  readonly #clock: Clock
  readonly #underWay = new Set<string>()

  constructor(database: Kysely<Schema>, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /**
   * Takes a request on, or gives what was answered to it before; `null`: it is new. A new one is to be ended by `finish`
   * or `forget`. `content`: all that makes it that request. Throws `invalid` when another request had this key, and
   * `too-busy` while it is carried out.
   */
  async begin(request: KeyedRequest, content: readonly string[]): Promise<EarlierAnswer | null> {
    const fingerprint = createHash('sha256').update(JSON.stringify(content)).digest('hex')
    const name = nameOf(request)
    const { user, key } = request
    const earlier = await this.#database.transaction().execute(async (transaction) => {
      const now = this.#clock()
      await transaction
        .deleteFrom('request_key')
        .where('created_at', '<', now - keptMs)
        .execute()
      const row = await transaction
        .selectFrom('request_key')
        .selectAll()
        .where('user_name', '=', user)
        .where('request_key', '=', key)
        .executeTakeFirst()
      if (row !== undefined) return row
      const empty = { status: null, answer: null, task_id: null }
      const fresh = { user_name: user, request_key: key, fingerprint, created_at: now, ...empty }
      await transaction.insertInto('request_key').values(fresh).execute()
      this.#underWay.add(name)
      return null
    })
    if (earlier === null) return null
    if (earlier.fingerprint !== fingerprint) {
      const message = 'Idempotency-Key: another request had this key: give each request a key of its own'
      throw new ControlPlaneError('invalid', message, { field: 'Idempotency-Key' })
    }
    if (this.#underWay.has(name)) {
      throw new ControlPlaneError('too-busy', 'this very request is being carried out: wait a moment and ask again')
    }
    if (earlier.status !== null) return { kind: 'answer', status: earlier.status, text: earlier.answer }
    if (earlier.task_id !== null) return { kind: 'task', taskId: earlier.task_id }
    // It was cut off before anything that is told by a task; what it does otherwise refuses to be done twice.
    this.#underWay.add(name)
    return null
  }

  /** Carries the request out; a task that it begins is tied to it. */
  carryOut<Result>(request: KeyedRequest, work: () => Promise<Result>): Promise<Result> {
    return current.run(request, work)
  }

  /** Remembers the answer. */
  async finish(request: KeyedRequest, status: number, text: string | null): Promise<void> {
    await this.#database
      .updateTable('request_key')
      .set({ status, answer: text })
      .where('user_name', '=', request.user)
      .where('request_key', '=', request.key)
      .execute()
    this.#underWay.delete(nameOf(request))
  }

  /** It was refused: whoever sends it again has it looked at again. */
  async forget(request: KeyedRequest): Promise<void> {
    await this.#database
      .deleteFrom('request_key')
      .where('user_name', '=', request.user)
      .where('request_key', '=', request.key)
      .execute()
    this.#underWay.delete(nameOf(request))
  }
}

/** Ties a task to the request that began it, where that has a key; in the transaction that writes the task. */
export async function tieTask(database: Kysely<Schema> | Transaction<Schema>, taskId: string): Promise<void> {
  const request = current.getStore()
  if (request === undefined) return
  await database
    .updateTable('request_key')
    .set({ task_id: taskId })
    .where('user_name', '=', request.user)
    .where('request_key', '=', request.key)
    .execute()
}

const nameOf = ({ user, key }: KeyedRequest) => JSON.stringify([user, key])
