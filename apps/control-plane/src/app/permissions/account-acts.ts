import type { Kysely } from 'kysely'
import type { AccountAct } from '../../database/account-act-rows.ts'
import type { Schema } from '../../database/schema.ts'

/** One thing that was done to an account. */
export interface NewAccountAct {
  /** Whose account it is, or which accounts (`accountsOfSource`). */
  readonly user: string
  readonly by: string
  readonly act: AccountAct
  /** Milliseconds since 1970. */
  readonly at: number
}

/**
 * Stands for every account of an identity source, those that nobody has logged in with yet included: whoever says where a source
 * is says who all of them are. No user is called so.
 */
export const accountsOfSource = (source: string) => `@${source}`

/** What stands for the source that `user` is of, should they be of one; for a name without @ `null`. */
export function sourceAccountsOf(user: string): string | null {
  const at = user.lastIndexOf('@')
  return at <= 0 ? null : accountsOfSource(user.slice(at + 1).toLowerCase())
}

/** The accounts that have what `group` has: its members, and those of the sources that it is mapped to. */
export async function accountsIn(database: Kysely<Schema>, group: string): Promise<string[]> {
  const members = await database
    .selectFrom('group_member')
    .select('user_name')
    .where('group_name', '=', group)
    .execute()
  const sources = await database
    .selectFrom('group_mapping')
    .select('source_name')
    .distinct()
    .where('group_name', '=', group)
    .execute()
  return [
    ...members.map(({ user_name }) => user_name),
    ...sources.map(({ source_name }) => accountsOfSource(source_name)),
  ]
}

/** Remembers what somebody did to another's account, for approvals. What one does to one's own does not count. */
export async function noteAccountAct(transaction: Kysely<Schema>, { user, by, act, at }: NewAccountAct): Promise<void> {
  if (user === by) return
  await transaction
    .insertInto('account_act')
    .values({ user_name: user, by_user: by, act, at })
    .onConflict((conflict) => conflict.columns(['user_name', 'by_user', 'act']).doUpdateSet({ at }))
    .execute()
}

/** The account is in new hands, for certain: what others did to it before counts no more. */
export async function forgetAccountActs(transaction: Kysely<Schema>, user: string): Promise<void> {
  await transaction.deleteFrom('account_act').where('user_name', '=', user).execute()
}
