import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SetUpError } from '../set-up-error.ts'

/** How many copies from before a migration stay. */
export const copiesKept = 3

const copyPattern = /^\d{13}-[0-9a-z-]+\.sqlite$/

/** Where the copies lie: beside the database. */
export const copiesFolder = (path: string): string => join(dirname(path), 'before-migration')

/** The steps of the schema that a database has, oldest first; none where there is no database yet. */
export function schemaSteps(path: string): string[] {
  if (!existsSync(path)) return []
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    const found = database
      .prepare("select 1 from sqlite_schema where type = 'table' and name = 'schema_migration'")
      .get()
    if (found === undefined) return []
    return database
      .prepare('select name from schema_migration order by position')
      .all()
      .map(({ name }) => String(name))
  } finally {
    database.close()
  }
}

/**
 * Copies a database that has fewer than `stepCount` steps, so that whoever has to go back to the older program can; the
 * newest copies stay. Gives the copy's path; `null`: nothing is to be migrated. Throws `SetUpError` `bad-place` when the copy
 * cannot be made: then nothing is migrated either.
 */
export function copyBeforeMigration(path: string, stepCount: number, now: number): string | null {
  const steps = schemaSteps(path)
  const last = steps.at(-1)
  if (last === undefined || steps.length >= stepCount) return null
  const folder = copiesFolder(path)
  const copy = join(folder, `${String(now).padStart(13, '0')}-${last}.sqlite`)
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    database.prepare('vacuum into ?').run(copy)
  } catch (cause) {
    rmSync(copy, { force: true })
    const reason = cause instanceof Error ? cause.message : 'unknown error'
    throw new SetUpError(
      'bad-place',
      `the database is to be migrated from «${last}» and could not be copied to ${copy} first (${reason}), so nothing was changed: make room there, and start again`,
      { cause },
    )
  } finally {
    database.close()
  }
  const copies = readdirSync(folder)
    .filter((name) => copyPattern.test(name))
    .toSorted()
  for (const name of copies.slice(0, -copiesKept)) rmSync(join(folder, name), { force: true })
  return copy
}
