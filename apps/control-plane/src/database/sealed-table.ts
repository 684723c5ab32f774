import type { Area, Physical } from '@cryptvisor/key-store'
import type { Kysely } from 'kysely'
import type { Schema } from './schema.ts'

/** The table `sealed` as a key store's storage; an entry's row is named `area/id`. */
export class SealedTable implements Physical {
  readonly #database: Kysely<Schema>

  constructor(database: Kysely<Schema>) {
    this.#database = database
  }

  async read(area: Area, id: string): Promise<Uint8Array | null> {
    const row = await this.#database
      .selectFrom('sealed')
      .select('value')
      .where('name', '=', `${area}/${id}`)
      .executeTakeFirst()
    return row?.value ?? null
  }

  async write(area: Area, id: string, value: Uint8Array): Promise<void> {
    await this.#database
      .insertInto('sealed')
      .values({ name: `${area}/${id}`, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute()
  }

  async erase(area: Area, id: string): Promise<void> {
    await this.#database.deleteFrom('sealed').where('name', '=', `${area}/${id}`).execute()
  }
}
