import type { Kysely } from 'kysely'
import type { BearerRow, Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'

const dayMs = 86_400_000

/**
 * Why a session or API token of `user` does not work now, by where they come from: the source is switched off, or has not
 * confirmed for too long that the user of a token is still there. `null`: it works; users of our own have no source.
 */
export async function standingOf(
  database: Kysely<Schema>,
  user: string,
  kind: BearerRow['kind'],
  now: number,
): Promise<ControlPlaneError | null> {
  const row = await database
    .selectFrom('external_user')
    .innerJoin('identity_source', 'identity_source.name', 'external_user.source_name')
    .select(['identity_source.name', 'enabled', 'confirm_days', 'checked_at'])
    .where('user_name', '=', user)
    .executeTakeFirst()
  if (row === undefined) return null
  const { name: source, enabled, confirm_days: days, checked_at } = row
  if (enabled === 0) return new ControlPlaneError('not-logged-in', `the identity source ${source} is switched off`)
  if (kind === 'session' || checked_at + days * dayMs > now) return null
  return new ControlPlaneError(
    'not-logged-in',
    `the API tokens of ${user} rest: ${source} has not confirmed this user for ${days === 1 ? 'a day' : `${days} days`}: log in once by ${source}, then they work again`,
  )
}
