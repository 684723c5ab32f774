import type { KeyReference } from '@cryptvisor/host-agent-api'
import { keyReference, keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'
import { parseEncryption } from '../vms/vm-store.ts'

/** A KEK in use, and who needs it. */
export interface UsedKey {
  readonly key: KeyReference
  /** Names of VMs, sorted. */
  readonly vms: readonly string[]
  /** The name of the host whose host key it is. */
  readonly host: string | null
  /** How many disks that were detached are under it. */
  readonly detachedCount: number
  /** IDs of the hosts that may be asked whether they hold it: those that its VMs are on, and the one whose host key it is. */
  readonly hostIds: readonly string[]
}

interface Collected {
  readonly key: KeyReference
  readonly vms: Set<string>
  host: string | null
  detachedCount: number
  readonly hostIds: Set<string>
}

/** Every KEK that a VM Home, a disk, a detached disk or a host uses now, by `keyText`; four queries, however many there are. */
export async function usedKeys(database: Database, provider?: string): Promise<ReadonlyMap<string, UsedKey>> {
  const found = new Map<string, Collected>()
  const entry = (key: KeyReference): Collected => {
    const name = keyText(key)
    const known = found.get(name) ?? { key, vms: new Set(), host: null, detachedCount: 0, hostIds: new Set() }
    found.set(name, known)
    return known
  }
  const homes = await database
    .selectFrom('vm')
    .select(['name', 'host_id', 'encryption'])
    .where('encryption', 'is not', null)
    .execute()
  const disks = await database
    .selectFrom('disk')
    .innerJoin('vm', 'vm.id', 'disk.vm_id')
    .select(['vm.name', 'vm.host_id', 'disk.encryption'])
    .where('disk.encryption', 'is not', null)
    .execute()
  for (const { name, host_id, encryption } of [...homes, ...disks]) {
    for (const key of parseEncryption(encryption)?.keys ?? []) {
      if (provider !== undefined && key.provider !== provider) continue
      const known = entry(key)
      known.vms.add(name)
      known.hostIds.add(host_id)
    }
  }
  const detached = await database
    .selectFrom('detached_disk')
    .select('encryption')
    .where('encryption', 'is not', null)
    .execute()
  for (const { encryption } of detached) {
    for (const key of parseEncryption(encryption)?.keys ?? []) {
      if (provider === undefined || key.provider === provider) entry(key).detachedCount++
    }
  }
  const hosts = await database
    .selectFrom('host')
    .select(['id', 'name', 'host_key_provider', 'host_key_id'])
    .where('host_key_id', 'is not', null)
    .execute()
  for (const host of hosts) {
    const key = keyReference(host.host_key_provider, host.host_key_id)
    if (key === null || (provider !== undefined && key.provider !== provider)) continue
    const known = entry(key)
    known.host = host.name
    known.hostIds.add(host.id)
  }
  return new Map(
    [...found].map(([name, { key, vms, host, detachedCount, hostIds }]) => [
      name,
      { key, vms: [...vms].toSorted(), host, detachedCount, hostIds: [...hostIds] },
    ]),
  )
}

/** Who needs the key, in words: such as «VMs a, b and 3 more». */
export function usersText({ vms, host, detachedCount }: UsedKey): string {
  const parts: string[] = []
  if (host !== null) parts.push(`host ${host}`)
  if (vms.length > 0) {
    const more = vms.length > namesShownMax ? ` and ${vms.length - namesShownMax} more` : ''
    parts.push(`${vms.length === 1 ? 'VM' : 'VMs'} ${vms.slice(0, namesShownMax).join(', ')}${more}`)
  }
  if (detachedCount > 0) parts.push(detachedCount === 1 ? 'a detached disk' : `${detachedCount} detached disks`)
  return parts.length === 0 ? 'nothing' : parts.join(' and ')
}

const namesShownMax = 5
