import { AsyncLocalStorage } from 'node:async_hooks'
import { type Kysely, sql } from 'kysely'
import { Turns } from './turns.ts'

/** One rehearsal: all that its work asks of the database goes into the transaction that is rolled back at its end. */
export interface Rehearsal {
  /** Its queries and transactions have the connection one after another, as outside. */
  readonly turns: Turns
  state: 'going-on' | 'over' | 'given-up'
}

const current = new AsyncLocalStorage<Rehearsal>()

/** The rehearsal within which the caller runs; `undefined`: what it does counts. What outlives a rehearsal counts. */
export function currentRehearsal(): Rehearsal | undefined {
  const rehearsal = current.getStore()
  if (rehearsal?.state === 'given-up') throw new Error('the rehearsal took too long and was given up')
  return rehearsal?.state === 'going-on' ? rehearsal : undefined
}

/**
 * Does `work`, and then takes back all that it and what it called wrote into the database: a dry run. Nobody else gets at
 * the database meanwhile, so it is given up after `timeoutMs`; then `onTimeout` makes the error. `work` itself sees to it
 * that it does nothing outside the database.
 */
export async function rehearse<Schema, Result>(
  database: Kysely<Schema>,
  work: () => Promise<Result>,
  timeoutMs: number,
  onTimeout: () => Error,
): Promise<Result> {
  return database.connection().execute(async (connection) => {
    const rehearsal: Rehearsal = { turns: new Turns(), state: 'going-on' }
    await sql`begin immediate`.execute(connection)
    const timeout = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      rehearsal.state = 'given-up'
      timeout.reject(onTimeout())
    }, timeoutMs)
    try {
      return await Promise.race([current.run(rehearsal, work), timeout.promise])
    } finally {
      clearTimeout(timer)
      // Whoever has the connection at this moment comes to the end of the query first.
      await rehearsal.turns.take()
      if (rehearsal.state === 'going-on') rehearsal.state = 'over'
      await sql`rollback`.execute(connection)
    }
  })
}
