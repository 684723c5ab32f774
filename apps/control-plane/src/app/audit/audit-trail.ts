import { AsyncLocalStorage } from 'node:async_hooks'
import { type AuditHead, auditHash, headStatement, isSignedHead } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import type { AuditHeadRow } from '../../database/audit-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeText } from '../clock.ts'
import type { EventObserver, RecordedEvent } from '../events.ts'
import { isRehearsed } from '../rehearsal.ts'
import { type Audit, type AuditEntry, bareRecordOf, type Origin, rowOf } from './audit-entry.ts'
import type { AuditSigner } from './audit-signer.ts'

/** How many entries are written in one transaction. */
const entriesPerTransactionMax = 500

interface Waiting {
  readonly entry: AuditEntry
  readonly origin: Origin | null
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The audit: append-only, each record with a hash over the one before it, the last one signed. Whoever writes the
 * database behind our back can neither change a record nor cut the end off unseen. All events are in it, each in the
 * transaction of what it is about.
 */
export class AuditTrail implements Audit, EventObserver {
  readonly #database: Kysely<Schema>
  readonly #signer: AuditSigner
  readonly #clock: Clock
  readonly #originNow: () => Origin | null
  readonly #wake: () => void
  /** A record that is surely on disk: a head before it was brought back by somebody. */
  #floor = 0
  #waiting: Waiting[] = []
  #isWriting = false
  /** What is noted within a dry run or a request is written as nobody's: it stays, and others' entries go with it. */
  readonly #outside = AsyncLocalStorage.snapshot()

  /** `originNow` says which request is being answered; `wake` is called when something was written. */
  constructor(
    database: Kysely<Schema>,
    signer: AuditSigner,
    clock: Clock,
    originNow: () => Origin | null = () => null,
    wake: () => void = () => {},
  ) {
    this.#database = database
    this.#signer = signer
    this.#clock = clock
    this.#originNow = originNow
    this.#wake = wake
  }

  /** PEM. */
  get publicKey(): string {
    return this.#signer.publicKey
  }

  note(entry: AuditEntry): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const origin = entry.origin === undefined ? this.#originNow() : entry.origin
    this.#waiting.push({ entry, origin, resolve, reject })
    void this.#outside(() => this.#write())
    if (!isRehearsed()) return promise
    // A dry run has the database to itself until it ends, so it cannot wait for what is written beside it.
    promise.catch(() => undefined)
    return Promise.resolve()
  }

  async observe(transaction: Transaction<Schema>, event: RecordedEvent): Promise<void> {
    const about = [
      ['vm', event.vm],
      ['host', event.host],
      ['key-provider', event.provider],
      ['key', event.keyId],
    ]
    const entry: AuditEntry = {
      kind: 'event',
      user: event.user ?? 'system',
      operation: event.type,
      object: about.flatMap(([kind, name]) => (name == null ? [] : [`${kind} ${name}`])).join(', '),
      outcome: event.severity === 'error' ? 'failed' : 'success',
      provider: event.provider ?? null,
      keyId: event.keyId ?? null,
      task: event.task ?? null,
      text: event.text,
    }
    await this.append(transaction, [[entry, this.#originNow()]])
  }

  /** Appends within a transaction. The answer is the last record's position. */
  async append(
    transaction: Transaction<Schema>,
    entries: readonly (readonly [AuditEntry, Origin | null])[],
  ): Promise<number> {
    // Written first, so that where several control planes share a database the others wait here.
    const head = await transaction
      .updateTable('audit_head')
      .set((update) => ({ position: update('position', '+', entries.length) }))
      .where('id', '=', 1)
      .returningAll()
      .executeTakeFirst()
    const before = head === undefined ? null : { ...head, position: head.position - entries.length }
    const start = await this.#startOf(transaction, before)
    const time = Math.max(this.#clock(), start.time)
    let { position, hash } = start
    for (const [entry, origin] of entries) {
      const row = rowOf(entry, origin, ++position, time)
      hash = auditHash(hash, bareRecordOf(row))
      await transaction
        .insertInto('audit')
        .values({ ...row, hash })
        .execute()
    }
    await this.#setHead(transaction, { position, hash, time, broken_at: start.brokenAt })
    return position
  }

  /** Where to go on. A head that we did not sign is marked for good, and so is everything before it. */
  async #startOf(transaction: Transaction<Schema>, head: AuditHeadRow | null) {
    const isNew = head !== null && head.position === 0 && head.signature === null
    if (head !== null && head.position >= this.#floor && (isNew || this.#isOurs(head))) {
      const { position, hash, time, broken_at: brokenAt } = head
      return { position, hash, time, brokenAt }
    }
    const last = await transaction
      .selectFrom('audit')
      .select(['position', 'hash'])
      .orderBy('position', 'desc')
      .limit(1)
      .executeTakeFirst()
    const position = Math.max(last?.position ?? 0, head?.position ?? 0)
    return { position, hash: last?.hash ?? head?.hash ?? '0'.repeat(64), time: 0, brokenAt: position + 1 }
  }

  #isOurs(row: AuditHeadRow): boolean {
    const head = headOf(row)
    return head !== null && isSignedHead(head, this.publicKey)
  }

  async #setHead(transaction: Transaction<Schema>, head: Omit<AuditHeadRow, 'id' | 'signature'>): Promise<void> {
    const { position, hash, time, broken_at: brokenAt } = head
    const signature = this.#signer.sign(headStatement({ position, hash, time: timeText(time), brokenAt }))
    const values = { ...head, signature }
    await transaction
      .insertInto('audit_head')
      .values({ id: 1, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  }

  async #write(): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    // What comes in the same turn is written together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, entriesPerTransactionMax)
      try {
        const entries = batch.map(({ entry, origin }) => [entry, origin] as const)
        this.#floor = await this.#database.transaction().execute((transaction) => this.append(transaction, entries))
        for (const { resolve } of batch) resolve()
        this.#wake()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isWriting = false
  }
}

/** The head as it is signed and shown; `null` before the first record. */
export function headOf(row: AuditHeadRow): AuditHead | null {
  if (row.signature === null) return null
  const { position, hash, time, broken_at: brokenAt, signature } = row
  return { position, hash, time: timeText(time), brokenAt, signature }
}
