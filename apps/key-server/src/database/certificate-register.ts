import type { CertificateInfo } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import type { CertificateRow, Schema } from './schema.ts'

/** What a certificate lets its holder do. */
export type Role = CertificateRow['role']

/** A name of a client or an administrator, its certificates, and when it was last heard of. */
export interface Holder {
  readonly role: Role
  readonly name: string
  readonly certificates: readonly CertificateRow[]
  readonly lastSeenMs: number | null
}

/**
 * The certificates that get in. Standing under our CA is not enough: whoever steals the CA's key cannot make one that is
 * on record here. A client is its name; the certificates of a name share what it owns, so a client can be given a new
 * one before the old one ends.
 */
export class CertificateRegister {
  readonly #db: Kysely<Schema>
  readonly #now: () => Date

  constructor(db: Kysely<Schema>, now: () => Date) {
    this.#db = db
    this.#now = now
  }

  /** Takes a certificate on record. */
  async add(role: Role, name: string, info: CertificateInfo): Promise<void> {
    await this.#db
      .insertInto('certificate')
      .values({
        fingerprint: info.fingerprint256,
        role,
        name,
        serial_number: info.serialNumber,
        issued_ms: this.#now().getTime(),
        not_after_ms: info.notAfter.getTime(),
        revoked_ms: null,
      })
      .execute()
  }

  /** The name of the holder in that role; `null` when the certificate is not on record, or was revoked. */
  async nameOf(role: Role, fingerprint: string): Promise<string | null> {
    const row = await this.#db
      .selectFrom('certificate')
      .select('name')
      .where('fingerprint', '=', fingerprint)
      .where('role', '=', role)
      .where('revoked_ms', 'is', null)
      .executeTakeFirst()
    return row?.name ?? null
  }

  /** Refuses a certificate from now on. False when there is none of that fingerprint. */
  async revoke(fingerprint: string): Promise<boolean> {
    const found = await this.#db
      .selectFrom('certificate')
      .select('fingerprint')
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst()
    await this.#db
      .updateTable('certificate')
      .set({ revoked_ms: this.#now().getTime() })
      .where('fingerprint', '=', fingerprint)
      .where('revoked_ms', 'is', null)
      .execute()
    return found !== undefined
  }

  /** All holders, by role and name. */
  async holders(): Promise<Holder[]> {
    const rows = await this.#db.selectFrom('certificate').selectAll().orderBy('role').orderBy('name').execute()
    const holders: Holder[] = []
    for (const [key, certificates] of Map.groupBy(rows, (row) => `${row.role} ${row.name}`)) {
      const [first] = certificates
      if (first === undefined) throw new RangeError(`the group ${key} is empty`)
      const { role, name } = first
      holders.push({ role, name, certificates, lastSeenMs: role === 'client' ? await this.#lastSeen(name) : null })
    }
    return holders
  }

  async #lastSeen(client: string): Promise<number | null> {
    const query = this.#db.selectFrom('audit').select('time_ms').where('client', '=', client)
    return (await query.orderBy('position', 'desc').limit(1).executeTakeFirst())?.time_ms ?? null
  }
}
