import { encryptionPolicy, plainPolicy, systemRoles } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import { v7 } from 'uuid'
import type { Schema } from './schema.ts'

const policies = [
  {
    name: encryptionPolicy,
    description: 'VM Home and disks are encrypted with a KEK of the default key provider',
    encryption: 1,
  },
  { name: plainPolicy, description: 'Nothing is encrypted', encryption: 0 },
] as const

const rulesOfSystemPolicies = {
  key_provider: null,
  thin: 0,
  verify: 0,
  hardened: 0,
  rotation_days: null,
  on_revocation: 'keep-running',
  grace_minutes: null,
  version: 1,
  system: 1,
  changed_at: null,
  changed_by: null,
} as const

/**
 * Brings in what is always there: the system roles, with the privileges that this version of the program has, and the
 * two storage policies. Does nothing to what is there already; run it at every start.
 */
export async function seed(database: Kysely<Schema>): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    for (const [name, privileges] of Object.entries(systemRoles)) {
      const values = { privileges: JSON.stringify(privileges), system: 1 }
      await transaction
        .insertInto('role')
        .values({ name, ...values })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
        .execute()
    }
    for (const policy of policies) {
      await transaction
        .insertInto('policy')
        .values({ id: v7(), ...rulesOfSystemPolicies, ...policy })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute()
    }
  })
}
