import type { Transaction } from 'kysely'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import type { EventLog } from '../../events.ts'
import { putIntoGroups } from '../external-users.ts'
import { isKnownByHand } from './known-by-hand.ts'

/** Carries out what a directory says of users who are here already. */
export class Verdicts {
  readonly #events: EventLog

  constructor(events: EventLog) {
    this.#events = events
  }

  /**
   * The user is there and may log in: puts them into exactly the groups that `external` gives. Where that is none, and
   * nobody here gave them anything, it is as `end`. Gives the cause of that; `null`: they keep what they have.
   */
  async confirm(
    source: IdentitySourceRow,
    user: string,
    external: readonly string[],
    askedAt: number,
  ): Promise<string | null> {
    const belongs = await this.#events.transaction(async (transaction, record) => {
      if (!(await isAsAsked(transaction, source, user, askedAt))) return true
      await transaction
        .updateTable('external_user')
        .set({ checked_at: askedAt })
        .where('user_name', '=', user)
        .execute()
      const before = await groupsBySource(transaction, user)
      const given = await putIntoGroups(transaction, source.name, user, external)
      const after = await groupsBySource(transaction, user)
      const came = after.filter((each) => !before.includes(each))
      const went = before.filter((each) => !after.includes(each))
      const changes = [
        ...(came.length === 0 ? [] : [`is in ${came.join(', ')} now`]),
        ...(went.length === 0 ? [] : [`is in ${went.join(', ')} no more`]),
      ]
      if (changes.length > 0) {
        await record({ type: 'user.changed', text: `${user} ${changes.join(' and ')}, by ${source.name}`, user })
      }
      return given.length > 0 || (await isKnownByHand(transaction, user))
    })
    if (belongs) return null
    const cause = 'is in no group any more that is mapped to one here'
    return (await this.end(source, user, cause, askedAt)) ? cause : null
  }

  /**
   * The user is gone or may not log in any more, as `cause` says: takes away sessions, API tokens and what the source's groups
   * gave. Whether there was anything; nothing is done where the source was changed, or confirmed the user, since `askedAt`.
   */
  async end(source: IdentitySourceRow, user: string, cause: string, askedAt: number): Promise<boolean> {
    return this.#events.transaction(async (transaction, record) => {
      if (!(await isAsAsked(transaction, source, user, askedAt))) return false
      const bearers = await transaction.deleteFrom('bearer').where('user_name', '=', user).executeTakeFirst()
      await putIntoGroups(transaction, source.name, user, [])
      const count = Number(bearers.numDeletedRows)
      if (count === 0) return false
      const text = `${user} ${cause}, by ${source.name}: sessions and API tokens are over (${count})`
      await record({ type: 'identity-source.user-ended', text, user })
      return true
    })
  }
}

/** Whether what was asked at `askedAt` still is what there is to know. */
async function isAsAsked(
  transaction: Transaction<Schema>,
  source: IdentitySourceRow,
  user: string,
  askedAt: number,
): Promise<boolean> {
  const row = await transaction
    .selectFrom('external_user')
    .innerJoin('identity_source', 'identity_source.name', 'external_user.source_name')
    .select(['config', 'enabled', 'checked_at'])
    .where('user_name', '=', user)
    .where('source_name', '=', source.name)
    .executeTakeFirst()
  return row !== undefined && row.enabled === 1 && row.config === source.config && row.checked_at <= askedAt
}

async function groupsBySource(transaction: Transaction<Schema>, user: string): Promise<string[]> {
  const rows = await transaction
    .selectFrom('group_member')
    .select('group_name')
    .where('user_name', '=', user)
    .where('from_source', '=', 1)
    .orderBy('group_name')
    .execute()
  return rows.map(({ group_name }) => group_name)
}
