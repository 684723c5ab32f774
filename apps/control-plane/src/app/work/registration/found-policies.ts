import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { Database } from '../context.ts'

/**
 * What was found, with policies that are here: those that it names, where they are here and say what is so; else the one that
 * always is. Whether what is encrypted stays so is no matter of a policy's name on a datastore.
 */
export async function withPolicies(database: Database, found: VmAuthority): Promise<VmAuthority> {
  const policies = await database.selectFrom('policy').select(['name', 'encryption']).execute()
  const policyFor = (said: string, encrypted: boolean) => {
    const same = policies.find((policy) => policy.name === said && (policy.encryption === 1) === encrypted)
    return same?.name ?? (encrypted ? encryptionPolicy : plainPolicy)
  }
  return {
    ...found,
    policy: policyFor(found.policy, found.encryption !== null),
    disks: found.disks.map((disk) => ({ ...disk, policy: policyFor(disk.policy, disk.encryption !== null) })),
  }
}
