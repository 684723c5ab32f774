import {
  type AuditCheck,
  type AuditCheckpoint,
  type AuditHead,
  type AuditRecord,
  auditKeyFingerprint,
  auditStartHash,
  ChainWalk,
  checkpointStatement,
  isSignedCheckpoint,
  type PruneAudit,
} from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { AuditCheckpointRow } from '../../database/audit-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeText } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'
import { recordOf } from './audit-entry.ts'
import type { AuditSigner } from './audit-signer.ts'
import { headOf } from './audit-trail.ts'

/** The most records that one answer has. */
export const recordsPerAnswerMax = 1000

/** A walk reads so many at once, so that others have the database in between. */
const recordsPerPage = 1000

export interface AuditQuery {
  readonly user?: string | undefined
  readonly kind?: AuditRecord['kind'] | undefined
  readonly keyId?: string | undefined
  readonly outcome?: string | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** Only records before this one. */
  readonly before?: number | undefined
  /** Only records after this one, the oldest first; without it, the newest first. */
  readonly after?: number | undefined
  /** At most `recordsPerAnswerMax`. */
  readonly limit: number
}

/** Reads the audit, checks it, and lets go of what was exported. */
export class AuditLog {
  readonly #database: Kysely<Schema>
  readonly #signer: AuditSigner
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, signer: AuditSigner, events: EventLog, clock: Clock) {
    this.#database = database
    this.#signer = signer
    this.#events = events
    this.#clock = clock
  }

  /** PEM. */
  get publicKey(): string {
    return this.#signer.publicKey
  }

  async list(query: AuditQuery): Promise<AuditRecord[]> {
    const { after, before, limit, user, kind, keyId, outcome, since, until } = query
    let found = this.#database.selectFrom('audit').selectAll().limit(Math.min(limit, recordsPerAnswerMax))
    if (user !== undefined) found = found.where('user_name', '=', user)
    if (kind !== undefined) found = found.where('kind', '=', kind)
    if (keyId !== undefined) found = found.where('key_id', '=', keyId)
    if (outcome !== undefined) found = found.where('outcome', '=', outcome)
    if (since !== undefined) found = found.where('time', '>=', since)
    if (until !== undefined) found = found.where('time', '<', until)
    if (before !== undefined) found = found.where('position', '<', before)
    if (after !== undefined) found = found.where('position', '>', after)
    const rows = await found.orderBy('position', after === undefined ? 'desc' : 'asc').execute()
    return rows.map(recordOf)
  }

  /** The signed end of the chain; `null`: nothing was recorded yet, or somebody removed it. */
  async head(): Promise<AuditHead | null> {
    const row = await this.#database.selectFrom('audit_head').selectAll().executeTakeFirst()
    return row === undefined ? null : headOf(row)
  }

  /** The checkpoint that the chain begins at; `null`: it begins at record 1. */
  async checkpoint(): Promise<AuditCheckpoint | null> {
    const row = await this.#database
      .selectFrom('audit_checkpoint')
      .selectAll()
      .orderBy('position', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row === undefined ? null : checkpointOf(row)
  }

  /** Walks along the whole chain. Records that come meanwhile are taken with it. */
  async check(): Promise<AuditCheck> {
    const checkpoint = await this.checkpoint()
    const walk = new ChainWalk(checkpoint ?? { position: 0, hash: auditStartHash })
    const known = { publicKey: this.publicKey, keyFingerprint: auditKeyFingerprint(this.publicKey) }
    if (checkpoint !== null && !isSignedCheckpoint(checkpoint, this.publicKey)) {
      const problem = `the checkpoint at record ${checkpoint.position} is not signed by this control plane`
      return { ...resultOf(walk, { position: checkpoint.position, problem }, await this.head()), ...known }
    }
    let after = checkpoint?.position ?? 0
    for (;;) {
      // The last page and the head are read as one, since somebody may append in between.
      const { rows, head } = await this.#database.transaction().execute(async (transaction) => ({
        rows: await transaction
          .selectFrom('audit')
          .selectAll()
          .where('position', '>', after)
          .orderBy('position')
          .limit(recordsPerPage)
          .execute(),
        head: await transaction.selectFrom('audit_head').selectAll().executeTakeFirst(),
      }))
      for (const row of rows) if (!walk.take(recordOf(row))) break
      after = rows.at(-1)?.position ?? after
      if (rows.length === recordsPerPage) continue
      const signed = head === undefined ? null : headOf(head)
      const isEmpty = head?.position === 0 && signed === null && walk.count === 0 && checkpoint === null
      return { ...resultOf(walk, isEmpty ? null : walk.end(signed, this.publicKey), signed), ...known }
    }
  }

  /**
   * Removes the records up to `through`, for which a signed checkpoint stands from then on. Throws `invalid` where `hash`
   * is not that record’s: whoever removes records shows that they have them; `audit-broken` where they are not whole.
   */
  async prune({ through, hash }: PruneAudit, principal: Principal): Promise<AuditCheckpoint> {
    const head = await this.head()
    if (head === null || through >= head.position) {
      const message = `through: record ${through} is the end of the audit or behind it: choose an earlier one`
      throw new ControlPlaneError('invalid', message, { field: 'through' })
    }
    return this.#events.transaction(async (transaction, record) => {
      const last = await transaction.selectFrom('audit').selectAll().where('position', '=', through).executeTakeFirst()
      if (last?.hash !== hash) {
        const message = `hash: record ${through} is not there or has another hash: export the audit, verify the file, and give its record’s hash`
        throw new ControlPlaneError('invalid', message, { field: 'hash' })
      }
      const behind = await transaction
        .selectFrom('notification_target')
        .select('name')
        .where('source', '=', 'audit')
        .where('cursor', '<', through)
        .executeTakeFirst()
      if (behind !== undefined) {
        throw new ControlPlaneError(
          'in-use',
          `records up to ${through} were not all sent to ${behind.name} yet: see «notification show ${behind.name}», or remove it`,
        )
      }
      const bare = { position: through, hash, time: timeText(this.#clock()), user: principal.name }
      const signature = this.#signer.sign(checkpointStatement(bare))
      const { numDeletedRows } = await transaction
        .deleteFrom('audit')
        .where('position', '<=', through)
        .executeTakeFirst()
      await transaction
        .insertInto('audit_checkpoint')
        .values({ position: through, hash, time: Date.parse(bare.time), user_name: bare.user, signature })
        .execute()
      await record({
        type: 'audit.pruned',
        text: `${numDeletedRows} records of the audit, up to record ${through}, were removed after their export; a signed checkpoint with the hash ${hash} stands for them`,
        user: principal.name,
      })
      return { ...bare, signature }
    })
  }
}

function resultOf(
  walk: ChainWalk,
  broken: { readonly position: number; readonly problem: string } | null,
  head: AuditHead | null,
) {
  return {
    whole: broken === null,
    recordCount: walk.count,
    firstPosition: walk.firstPosition,
    badPosition: broken?.position ?? null,
    problem: broken?.problem ?? null,
    head,
  }
}

function checkpointOf({ user_name: user, time, ...row }: AuditCheckpointRow): AuditCheckpoint {
  return { ...row, user, time: timeText(time) }
}
