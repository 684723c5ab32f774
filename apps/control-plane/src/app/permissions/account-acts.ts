import type { Kysely } from 'kysely'
import type { AccountAct } from '../../database/account-act-rows.ts'
import type { Schema } from '../../database/schema.ts'

/** One thing that was done to an account. */
export interface NewAccountAct {
  /** Whose account it is. */
  readonly user: string
  readonly by: string
  readonly act: AccountAct
  /** Milliseconds since 1970. */
  readonly at: number
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
