import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'

/** So many wrong passwords in a row cost nothing. */
export const failuresFree = 5
const firstDelayMs = 30_000
const delayMaxMs = 3_600_000

/** From so many addresses wrong passwords are counted for one user; the oldest are forgotten. */
export const addressesPerUserMax = 1000

/**
 * Until when nobody at an address can log in as a user after `failedCount` wrong passwords in a row, the last of them at
 * `now`: 30 s after the fifth, twice as long after each more, an hour at most. `null`: at once.
 */
export function lockedUntil(failedCount: number, now: number): number | null {
  if (failedCount < failuresFree) return null
  const doublings = Math.min(failedCount - failuresFree, 20)
  return now + Math.min(firstDelayMs * 2 ** doublings, delayMaxMs)
}

/** Whether `user` cannot log in from `address` at `now`, whatever the password. */
export async function isLockedOut(
  database: Kysely<Schema>,
  user: string,
  address: string,
  now: number,
): Promise<boolean> {
  const row = await database
    .selectFrom('login_failure')
    .select('address')
    .where('user_name', '=', user)
    .where('address', '=', address)
    .where('locked_until', '>', now)
    .executeTakeFirst()
  return row !== undefined
}

/** Counts a wrong password. Gives until when the address is locked out; `null`: it is not. */
export async function countFailure(
  database: Kysely<Schema>,
  user: string,
  address: string,
  now: number,
): Promise<number | null> {
  const before = await database
    .selectFrom('login_failure')
    .select('failed_count')
    .where('user_name', '=', user)
    .where('address', '=', address)
    .executeTakeFirst()
  const failedCount = (before?.failed_count ?? 0) + 1
  const values = { failed_count: failedCount, failed_at: now, locked_until: lockedUntil(failedCount, now) }
  await database
    .insertInto('login_failure')
    .values({ user_name: user, address, ...values })
    .onConflict((conflict) => conflict.columns(['user_name', 'address']).doUpdateSet(values))
    .execute()
  const kept = database
    .selectFrom('login_failure')
    .select('address')
    .where('user_name', '=', user)
    .orderBy('failed_at', 'desc')
    .orderBy('address')
    .limit(addressesPerUserMax)
  await database.deleteFrom('login_failure').where('user_name', '=', user).where('address', 'not in', kept).execute()
  return values.locked_until
}

/** Forgets wrong passwords for a user: those from one address, or all. */
export async function forgetFailures(database: Kysely<Schema>, user: string, address?: string): Promise<void> {
  let forgotten = database.deleteFrom('login_failure').where('user_name', '=', user)
  if (address !== undefined) forgotten = forgotten.where('address', '=', address)
  await forgotten.execute()
}
