import { createHash } from 'node:crypto'
import type { AuditRecord } from '@cryptvisor/kmip-server'
import type { Kysely } from 'kysely'
import type { AuditRow, Schema } from './schema.ts'

/** What the first record's hash covers as the one before. */
const firstHash = '0'.repeat(64)

const checkPageSize = 1000

export interface AuditFilter {
  readonly client?: string
  readonly objectId?: string
  /** Only records before this position. */
  readonly before?: number
  readonly limit: number
}

/** What a walk along the chain found. */
export interface ChainCheck {
  readonly records: number
  readonly head: string | null
  /** The first position that is missing, changed or out of order; `null` when all is whole. */
  readonly brokenAt: number | null
}

/**
 * The audit: append-only, each record with a hash over the one before. Whoever changes, removes or inserts one must
 * compute all that follow anew, which is noticed by whoever has noted a later hash.
 */
export class AuditLog {
  readonly #db: Kysely<Schema>

  constructor(db: Kysely<Schema>) {
    this.#db = db
  }

  /** Adds a record; in the transaction of what it is about. */
  async append(record: AuditRecord): Promise<void> {
    const last = await this.head()
    const row = {
      position: (last?.position ?? 0) + 1,
      time_ms: record.time.getTime(),
      client: record.client,
      certificate_fingerprint: record.certificateFingerprint,
      address: record.address,
      protocol_version: record.protocolVersion,
      operation: record.operation,
      object_id: record.objectId,
      result_status: record.resultStatus,
      result_reason: record.resultReason,
    }
    await this.#db
      .insertInto('audit')
      .values({ ...row, hash: hashOf(last?.hash ?? firstHash, row) })
      .execute()
  }

  /** The last record's place and hash; `null` when there is none. */
  async head(): Promise<Pick<AuditRow, 'position' | 'hash'> | null> {
    const query = this.#db.selectFrom('audit').select(['position', 'hash']).orderBy('position', 'desc').limit(1)
    return (await query.executeTakeFirst()) ?? null
  }

  /** Records, the newest first. */
  async list(filter: AuditFilter): Promise<AuditRow[]> {
    let query = this.#db.selectFrom('audit').selectAll().orderBy('position', 'desc').limit(filter.limit)
    if (filter.client !== undefined) query = query.where('client', '=', filter.client)
    if (filter.objectId !== undefined) query = query.where('object_id', '=', filter.objectId)
    if (filter.before !== undefined) query = query.where('position', '<', filter.before)
    return await query.execute()
  }

  /** Walks along the whole chain, in pages, so that others have the connection in between. */
  async check(): Promise<ChainCheck> {
    let records = 0
    let head = firstHash
    for (;;) {
      const query = this.#db.selectFrom('audit').selectAll().where('position', '>', records).orderBy('position')
      const page = await query.limit(checkPageSize).execute()
      for (const { hash, ...row } of page) {
        if (row.position !== records + 1 || hash !== hashOf(head, row)) {
          return { records, head: records === 0 ? null : head, brokenAt: records + 1 }
        }
        records++
        head = hash
      }
      if (page.length < checkPageSize) return { records, head: records === 0 ? null : head, brokenAt: null }
    }
  }
}

function hashOf(before: string, row: Omit<AuditRow, 'hash'>): string {
  const fields = [
    before,
    row.position,
    row.time_ms,
    row.client,
    row.certificate_fingerprint,
    row.address,
    row.protocol_version,
    row.operation,
    row.object_id,
    row.result_status,
    row.result_reason,
  ]
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex')
}
