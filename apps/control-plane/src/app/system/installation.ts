import type { Kysely, Transaction } from 'kysely'
import type { InstallationRow } from '../../database/running-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'

/** What this control plane is, in its own words. */
export async function readInstallation(database: Kysely<Schema> | Transaction<Schema>): Promise<InstallationRow> {
  return database.selectFrom('installation').selectAll().executeTakeFirstOrThrow()
}

/**
 * Whether this control plane was restored and nobody has said yet that what happened since its backup was looked at. Until
 * then it does not know which keys are in use: none is destroyed, and none is taken from a host.
 */
export async function isOnHold(database: Kysely<Schema> | Transaction<Schema>): Promise<boolean> {
  return (await readInstallation(database)).on_hold === 1
}

/** Throws `in-use` while this control plane is on hold; `what` says what is refused. */
export async function requireNoHold(database: Kysely<Schema> | Transaction<Schema>, what: string): Promise<void> {
  if (!(await isOnHold(database))) return
  throw new ControlPlaneError(
    'in-use',
    `${what}: this control plane was restored from a backup and does not know yet which keys are in use. Look at «vm reconcile» and «datastore browse», then run «system settle», and try again`,
  )
}

/** Says that hosts and datastores were looked at after a restore: from now on keys may be destroyed again. Throws `invalid`. */
export async function settle(events: EventLog, principal: Principal): Promise<void> {
  await events.transaction(async (transaction, record) => {
    const { on_hold, restored_from } = await readInstallation(transaction)
    if (on_hold === 0) {
      throw new ControlPlaneError(
        'invalid',
        'there is nothing to settle: this control plane is not on hold after a restore',
      )
    }
    await transaction.updateTable('installation').set({ on_hold: 0 }).execute()
    await record({
      type: 'system.settled',
      user: principal.name,
      text: `${principal.name} said that all was looked at that happened since the backup of ${new Date(restored_from ?? 0).toISOString()}: keys may be destroyed and taken from hosts again`,
    })
  })
}
