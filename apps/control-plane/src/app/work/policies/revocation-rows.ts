import type { OnRevocation } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { KeyRevocationRow, VmRevocationRow } from '../../../database/policy-rows.ts'
import { timeText } from '../../clock.ts'
import { keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'
import { parseEncryption } from '../vms/vm-store.ts'

/** A VM that uses a KEK, with the strictest of the rules that the policies of the parts under this KEK have. */
export interface KeyUserVm {
  readonly id: string
  readonly name: string
  readonly host: string
  readonly clusterId: string
  readonly rule: OnRevocation
  /** The policy that says so, by name. */
  readonly policy: string
  readonly graceMinutes: number | null
}

const strictness: Readonly<Record<OnRevocation, number>> = { 'keep-running': 0, 'stop-after-grace': 1, stop: 2 }

/** The VMs that use a KEK, by name. */
export async function vmsUsing(database: Database, key: KeyReference): Promise<KeyUserVm[]> {
  const columns = [
    'vm.id',
    'vm.name',
    'host.name as host',
    'host.cluster_id as clusterId',
    'policy.name as policy',
    'policy.on_revocation as rule',
    'policy.grace_minutes as graceMinutes',
  ] as const
  const homes = await database
    .selectFrom('vm')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .innerJoin('policy', 'policy.id', 'vm.policy_id')
    .select([...columns, 'vm.encryption'])
    .where('vm.encryption', 'is not', null)
    .execute()
  const disks = await database
    .selectFrom('disk')
    .innerJoin('vm', 'vm.id', 'disk.vm_id')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .innerJoin('policy', 'policy.id', 'disk.policy_id')
    .select([...columns, 'disk.encryption'])
    .where('disk.encryption', 'is not', null)
    .execute()
  const users = new Map<string, KeyUserVm>()
  for (const { encryption, ...user } of [...homes, ...disks]) {
    const uses = parseEncryption(encryption)?.keys.some((each) => keyText(each) === keyText(key)) === true
    const other = users.get(user.id)
    if (!uses || (other !== undefined && isStricter(other, user))) continue
    users.set(user.id, user)
  }
  return [...users.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** Whether `one` is at least as strict as `other`; of two graces the shorter one is. */
function isStricter(one: KeyUserVm, other: KeyUserVm): boolean {
  if (one.rule !== other.rule) return strictness[one.rule] > strictness[other.rule]
  return (one.graceMinutes ?? 0) <= (other.graceMinutes ?? 0)
}

/** Why a VM is stopped; `null`: it is not. */
export async function stopOf(database: Database, vmId: string): Promise<VmRevocationRow | null> {
  const row = await database
    .selectFrom('vm_revocation')
    .selectAll()
    .where('vm_id', '=', vmId)
    .where('stopped_at', 'is not', null)
    .executeTakeFirst()
  return row ?? null
}

/** That a KEK is known to be revoked, destroyed or gone; `null`: it is not. */
export async function revocationOf(database: Database, key: KeyReference): Promise<KeyRevocationRow | null> {
  const row = await database
    .selectFrom('key_revocation')
    .selectAll()
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .executeTakeFirst()
  return row ?? null
}

/** What a user is told of a VM that is stopped. */
export function stopText({ provider, key_id, policy, stopped_at }: VmRevocationRow): string {
  const since = stopped_at === null ? '' : ` on ${timeText(stopped_at)}`
  return `key revoked: key ${key_id} of provider ${provider} is not to be used any more, and policy «${policy}» says that the VM is stopped then, which was done${since}: its hosts have no key for it. Give it another key («vm rekey»; «--deep» where the old one may be in wrong hands), or bring the key back in its key server and say «vm unlock»`
}
