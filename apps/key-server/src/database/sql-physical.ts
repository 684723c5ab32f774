import type { Area, Physical } from '@cryptvisor/key-store'
import type { Kysely } from 'kysely'
import type { Schema } from './schema.ts'

const tables = { keyring: 'keyring', 'wrapping-key': 'wrapping_key', value: 'sealed_value' } as const

/** Sealed entries in a database, or in a transaction of it. `secure_delete` overwrites what is erased. */
export class SqlPhysical implements Physical {
  readonly #db: Kysely<Schema>

  constructor(db: Kysely<Schema>) {
    this.#db = db
  }

  async read(area: Area, id: string): Promise<Uint8Array | null> {
    const row = await this.#db.selectFrom(tables[area]).select('bytes').where('id', '=', id).executeTakeFirst()
    return row?.bytes ?? null
  }

  async write(area: Area, id: string, bytes: Uint8Array): Promise<void> {
    await this.#db
      .insertInto(tables[area])
      .values({ id, bytes })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ bytes }))
      .execute()
  }

  async erase(area: Area, id: string): Promise<void> {
    await this.#db.deleteFrom(tables[area]).where('id', '=', id).execute()
  }
}
