import type { LoginAnswer } from '@cryptvisor/control-plane-api'
import type { Transaction } from 'kysely'
import type { Schema } from '../database/schema.ts'
import type { Bearers } from './bearers.ts'
import { timeText } from './clock.ts'

/** How long a login lasts. */
export const sessionMs = 12 * 3_600_000

/** A user's oldest session ends when there are more. */
export const sessionsPerUserMax = 100

/** Begins a session for a user who has shown who they are. */
export async function startSession(
  transaction: Transaction<Schema>,
  bearers: Bearers,
  user: string,
  address: string,
  now: number,
): Promise<LoginAnswer> {
  await transaction.deleteFrom('bearer').where('expires_at', '<=', now).execute()
  const kept = transaction
    .selectFrom('bearer')
    .select('id')
    .where('user_name', '=', user)
    .where('kind', '=', 'session')
    .orderBy('id', 'desc')
    .limit(sessionsPerUserMax - 1)
  await transaction
    .deleteFrom('bearer')
    .where('user_name', '=', user)
    .where('kind', '=', 'session')
    .where('id', 'not in', kept)
    .execute()
  const expiresAt = now + sessionMs
  const { token } = await bearers.create(transaction, { kind: 'session', name: 'login', user, expiresAt, address })
  return { token, user, expiresAt: timeText(expiresAt) }
}
