import type { GroupMapping } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { IdentitySourceRow } from '../../database/identity-rows.ts'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { accountsOfSource, noteAccountAct } from '../permissions/account-acts.ts'
import { requireCoversGroup } from '../permissions/delegation.ts'
import type { Principal } from '../ports.ts'
import { usersOfSource } from './external-users.ts'
import { findSource } from './identity-source.ts'
import { externalGroupName } from './ldap/account-groups.ts'

/** How many mappings one source has at most. */
export const mappingsMax = 500

/**
 * Which groups of a source are which of ours. Whoever makes one gives the group's permissions to people whom they do not
 * know: only as far as they have those privileges themselves.
 */
export class GroupMappings {
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(events: EventLog, clock: Clock) {
    this.#events = events
    this.#clock = clock
  }

  /**
   * It counts from the next login of each user on, and for users of a directory when it is asked about them next. Throws
   * `not-found` for the source or the group, `in-use` where there are too many, `no-privilege`.
   */
  async add(source: string, { external: given, group }: GroupMapping, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const external = nameInMappings(await findSource(transaction, source), given)
      await requireGroup(transaction, group)
      await requireCoversGroup(transaction, by, group)
      const there = await transaction
        .selectFrom('group_mapping')
        .select('external_name')
        .where('source_name', '=', source)
        .execute()
      if (there.length >= mappingsMax) {
        throw new ControlPlaneError('in-use', `${source} has ${mappingsMax} mappings already: remove one first`)
      }
      await transaction
        .insertInto('group_mapping')
        .values({ source_name: source, external_name: external, group_name: group })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      const user = accountsOfSource(source)
      await noteAccountAct(transaction, { user, by: by.name, act: 'rights', at: this.#clock() })
      const text = `who is in ${external} of ${source} is in group ${group} now`
      await record({ type: 'identity-source.changed', text, user: by.name })
    })
  }

  /**
   * It counts at once: who is in the group by nothing else is not in it any more. Throws `not-found`, `no-privilege`.
   */
  async remove(source: string, { external: given, group }: GroupMapping, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const external = nameInMappings(await findSource(transaction, source), given)
      await requireCoversGroup(transaction, by, group)
      const { numDeletedRows } = await transaction
        .deleteFrom('group_mapping')
        .where('source_name', '=', source)
        .where('external_name', '=', external)
        .where('group_name', '=', group)
        .executeTakeFirst()
      if (numDeletedRows === 0n) {
        throw new ControlPlaneError('not-found', `${source} does not map ${external} to ${group}`, {
          field: 'external',
        })
      }
      await transaction
        .deleteFrom('group_member')
        .where('group_name', '=', group)
        .where('from_source', '=', 1)
        .where('user_name', 'in', usersOfSource(transaction, source))
        .execute()
      const text = `who is in ${external} of ${source} is in group ${group} no more`
      await record({ type: 'identity-source.changed', text, user: by.name })
    })
  }
}

/** Directories name groups without regard to case. */
const nameInMappings = ({ kind }: IdentitySourceRow, external: string) =>
  kind === 'ldap' ? externalGroupName(external) : external

async function requireGroup(database: Kysely<Schema>, name: string): Promise<void> {
  const row = await database.selectFrom('user_group').select('name').where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ControlPlaneError('not-found', `there is no group ${name}`, { field: 'group' })
}
