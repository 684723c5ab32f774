import type {
  AuditCheck,
  AuditPage,
  AuditQuery,
  ClientList,
  ManagedObject,
  ObjectsPage,
  ObjectsQuery,
} from '@cryptvisor/key-server-api'
import { pageSizeDefault } from '@cryptvisor/key-server-api'
import type { Kysely } from 'kysely'
import { AuditLog } from '../database/audit-log.ts'
import type { CertificateRegister } from '../database/certificate-register.ts'
import { fromRow } from '../database/object-row.ts'
import type { Schema } from '../database/schema.ts'
import { objectView } from './object-view.ts'

/** What an administrator may see: everything but keys. */
export class AdminData {
  readonly #db: Kysely<Schema>
  readonly #register: CertificateRegister
  readonly #now: () => Date

  constructor(db: Kysely<Schema>, register: CertificateRegister, now: () => Date) {
    this.#db = db
    this.#register = register
    this.#now = now
  }

  /** Objects of all clients, the newest first. */
  async objects(filter: ObjectsQuery): Promise<ObjectsPage> {
    const limit = filter.limit ?? pageSizeDefault
    let query = this.#db.selectFrom('object').selectAll().orderBy('id', 'desc').limit(limit)
    if (filter.owner !== undefined) query = query.where('owner', '=', filter.owner)
    if (filter.destroyed !== true) query = query.where('is_destroyed', '=', 0)
    if (filter.before !== undefined) query = query.where('id', '<', filter.before)
    const rows = await query.execute()
    return {
      objects: rows.map((row) => objectView(fromRow(row), this.#now())),
      next: rows.length < limit ? null : (rows.at(-1)?.id ?? null),
    }
  }

  /** `null` when there is none. */
  async object(id: string): Promise<ManagedObject | null> {
    const row = await this.#db.selectFrom('object').selectAll().where('id', '=', id).executeTakeFirst()
    return row === undefined ? null : objectView(fromRow(row), this.#now())
  }

  /** Audit records, the newest first. */
  async audit(filter: AuditQuery): Promise<AuditPage> {
    const limit = filter.limit ?? pageSizeDefault
    const rows = await new AuditLog(this.#db).list({ ...filter, limit })
    return {
      records: rows.map((row) => ({
        position: row.position,
        time: new Date(row.time_ms).toISOString(),
        client: row.client,
        certificateFingerprint: row.certificate_fingerprint,
        address: row.address,
        protocolVersion: row.protocol_version,
        operation: row.operation,
        objectId: row.object_id,
        resultStatus: row.result_status,
        resultReason: row.result_reason,
        hash: row.hash,
      })),
      next: rows.length < limit ? null : (rows.at(-1)?.position ?? null),
    }
  }

  checkAudit(): Promise<AuditCheck> {
    return new AuditLog(this.#db).check()
  }

  async clients(): Promise<ClientList> {
    const holders = await this.#register.holders()
    return {
      clients: holders.map(({ role, name, lastSeenMs, certificates }) => ({
        name,
        role,
        lastSeenAt: isoOrNull(lastSeenMs),
        certificates: certificates.map((row) => ({
          fingerprint: row.fingerprint,
          serialNumber: row.serial_number,
          issuedAt: new Date(row.issued_ms).toISOString(),
          notAfter: new Date(row.not_after_ms).toISOString(),
          revokedAt: isoOrNull(row.revoked_ms),
        })),
      })),
    }
  }

  /** How many objects, destroyed ones included, and audit records there are. */
  async counts(): Promise<{ objects: number; auditRecords: number }> {
    const { objects } = await this.#db
      .selectFrom('object')
      .select((select) => select.fn.countAll<number>().as('objects'))
      .executeTakeFirstOrThrow()
    const head = await new AuditLog(this.#db).head()
    return { objects: Number(objects), auditRecords: head?.position ?? 0 }
  }
}

function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString()
}
