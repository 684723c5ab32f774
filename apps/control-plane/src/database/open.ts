import { openDatabase } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import { copyBeforeMigration } from './before-migration.ts'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'
import { seed } from './seeds.ts'

/**
 * Opens the control plane's database at `path` (`:memory:` for a test), migrated and seeded; one of an older program is copied
 * first. Throws `SqliteError`, and `SetUpError` `bad-place` when there is no room for the copy.
 */
export async function openControlPlaneDatabase(path: string, now: () => number = Date.now): Promise<Kysely<Schema>> {
  if (path !== ':memory:') copyBeforeMigration(path, migrations.length, now())
  const database = await openDatabase<Schema>(path, migrations)
  try {
    await seed(database)
    return database
  } catch (error) {
    await database.destroy()
    throw error
  }
}
