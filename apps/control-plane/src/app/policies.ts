import type { StoragePolicy } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'

/** Storage policies: whether what they are applied to is encrypted. */
export class Policies {
  readonly #database: Kysely<Schema>

  constructor(database: Kysely<Schema>) {
    this.#database = database
  }

  /** By name. */
  async list(): Promise<StoragePolicy[]> {
    const rows = await this.#database.selectFrom('policy').selectAll().orderBy('name').execute()
    return rows.map((row) => ({ ...row, encryption: row.encryption === 1, thin: row.thin === 1 }))
  }
}
