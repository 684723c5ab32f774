import { openDatabase } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'
import { seed } from './seeds.ts'

/** Opens the control plane's database at `path` (`:memory:` for a test), migrated and seeded. Throws `SqliteError`. */
export async function openControlPlaneDatabase(path: string): Promise<Kysely<Schema>> {
  const database = await openDatabase<Schema>(path, migrations)
  try {
    await seed(database)
    return database
  } catch (error) {
    await database.destroy()
    throw error
  }
}
