import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Database } from '../context.ts'
import { ownerText } from '../keys/owner-text.ts'
import { keyUsers } from '../keys/usage/key-usage.ts'
import { hostMachines } from '../machines/host-machines.ts'
import { runningOn } from '../machines/machine-store.ts'

const namesShownMax = 5

/** Throws `in-use` while VMs are on the host, or run there. */
export async function checkHostRemoval(database: Database, host: Pick<HostRow, 'id' | 'name'>): Promise<void> {
  await checkNothingRuns(database, host)
  const vms = await database.selectFrom('vm').select('name').where('host_id', '=', host.id).orderBy('name').execute()
  if (vms.length === 0) return
  throw new ControlPlaneError(
    'in-use',
    `host ${host.name} has ${vms.length === 1 ? 'a VM' : `${vms.length} VMs`} on it (${some(vms.map(({ name }) => name))}): delete ${vms.length === 1 ? 'it' : 'them'}, or give ${vms.length === 1 ? 'it' : 'them'} to another host («vm migrate»), first`,
  )
}

async function checkNothingRuns(database: Database, host: Pick<HostRow, 'id' | 'name'>): Promise<void> {
  const running = await runningOn(database, host.id)
  if (running.length > 0) {
    throw new ControlPlaneError(
      'in-use',
      `host ${host.name} runs ${running.length === 1 ? 'a VM' : `${running.length} VMs`}, or may (${some(running)}): power off first («vm shut-down»), and give them to another host («vm migrate»)`,
    )
  }
  const strays = (await hostMachines(database, host.id)).strays.get(host.id) ?? []
  if (strays.length === 0) return
  throw new ControlPlaneError(
    'in-use',
    `host ${host.name} runs what is not its to run (${some(strays)}): end that first («host stop-machine»)`,
  )
}

/** Throws `in-use` while VMs on the host, or disks of theirs, are encrypted. */
export async function checkNoEncryptedVms(database: Database, host: Pick<HostRow, 'id' | 'name'>): Promise<void> {
  const vms = await database
    .selectFrom('vm')
    .leftJoin('disk', 'disk.vm_id', 'vm.id')
    .select('vm.name')
    .distinct()
    .where('vm.host_id', '=', host.id)
    .where((where) => where.or([where('vm.encryption', 'is not', null), where('disk.encryption', 'is not', null)]))
    .orderBy('vm.name')
    .execute()
  if (vms.length === 0) return
  const names = some(vms.map(({ name }) => name))
  throw new ControlPlaneError(
    'in-use',
    `host ${host.name} has ${vms.length === 1 ? 'an encrypted VM' : `${vms.length} encrypted VMs`} on it (${names}): decrypt, move or delete ${vms.length === 1 ? 'it' : 'them'} first, since without keys ${vms.length === 1 ? 'it' : 'they'} could not be opened there`,
  )
}

/** Throws `in-use` while a VM or host uses a key of the provider, or a task has one made. */
export async function checkProviderRemoval(database: Database, provider: string): Promise<void> {
  const owners = await database
    .selectFrom('key')
    .select(['owner_kind', 'owner_name'])
    .distinct()
    .where('provider', '=', provider)
    .where('state', 'in', ['pending', 'current'])
    // A wrapping key counts by whoever has it.
    .where('owner_kind', '!=', 'key-provider')
    .orderBy('owner_name')
    .execute()
  const users = (await keyUsers(database, { provider })).filter(({ kind }) => kind !== 'wrapping-key')
  const all = [
    ...owners.map(({ owner_kind, owner_name }) => ownerText(owner_kind, owner_name)),
    ...users.map(({ owner }) => ownerText(owner.kind, owner.name)),
  ]
  if (all.length === 0) return refuseNamed(database, provider)
  const names = some([...new Set(all)])
  throw new ControlPlaneError(
    'in-use',
    `key provider ${provider} is not removed: its keys are used by ${names}, which could not be opened after a restart without it. See all that refers to it with «key-provider references ${provider}»; move that to another one with «key-provider migrate ${provider} OTHER» (first with --dry-run), then remove it`,
  )
}

/** Throws `in-use` while a storage policy names the provider. */
async function refuseNamed(database: Database, provider: string): Promise<void> {
  const policies = await database
    .selectFrom('policy')
    .select('name')
    .where('key_provider', '=', provider)
    .orderBy('name')
    .execute()
  if (policies.length === 0) return
  throw new ControlPlaneError(
    'in-use',
    `key provider ${provider} is named by ${policies.length === 1 ? 'storage policy' : 'storage policies'} ${some(policies.map(({ name }) => `«${name}»`))}: change them first («policy change POLICY --key-provider OTHER»), or «key-provider migrate ${provider} OTHER», which does that too`,
  )
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, namesShownMax).join(', ')
  return names.length > namesShownMax ? `${shown} and ${names.length - namesShownMax} more` : shown
}
