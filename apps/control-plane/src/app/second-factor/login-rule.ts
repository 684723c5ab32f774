import type { LoginRule } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { rootPath } from '../inventory/inventory-object.ts'
import type { Grants } from '../permissions/grants.ts'

/** Who has to have a second factor; nobody until somebody says otherwise. */
export async function readLoginRule(database: Kysely<Schema>): Promise<LoginRule> {
  const row = await database.selectFrom('login_rule').select('second_factor').where('id', '=', 1).executeTakeFirst()
  return { secondFactor: row?.second_factor ?? 'nobody' }
}

/** Whether `user`, who has `grants`, needs a second factor by the rule and logs in without. */
export async function lacksSecondFactor(database: Kysely<Schema>, user: string, grants: Grants): Promise<boolean> {
  if (!needsSecondFactor(await readLoginRule(database), grants)) return false
  return !(await hasSecondFactor(database, user))
}

/** Whether logins of `user` need a code. */
export async function hasSecondFactor(database: Kysely<Schema>, user: string): Promise<boolean> {
  const row = await database
    .selectFrom('second_factor')
    .select('user_name')
    .where('user_name', '=', user)
    .where('confirmed_at', 'is not', null)
    .executeTakeFirst()
  return row !== undefined
}

/** Whether the rule is about whoever has `grants`. */
export function needsSecondFactor({ secondFactor }: LoginRule, grants: Grants): boolean {
  if (secondFactor === 'administrators') return grants.can('Authorization.ModifyPermissions', rootPath)
  return secondFactor === 'everybody'
}
