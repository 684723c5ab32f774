import type { CampaignPlan, CampaignPreview } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { Sight } from '../../permissions/sight.ts'
import type { Database, WorkContext } from '../context.ts'
import { isOn } from '../machines/machine-store.ts'
import { powerNeeds, whyNotOff } from '../machines/power-rules.ts'
import { authorityOf, keysOf, parseEncryption, readVms, type VmRecord } from '../vms/vm-store.ts'

const dayMs = 86_400_000

/** A VM that a run would rekey. */
export interface Chosen {
  readonly vm: VmRecord
  readonly keys: readonly KeyReference[]
}

/** What is on record of KEKs and policies, read once for all VMs. */
interface Facts {
  readonly createdAt: ReadonlyMap<string, number>
  readonly exposed: ReadonlySet<string>
  /** Rotation age by policy, in days. */
  readonly rotationDays: ReadonlyMap<string, number>
}

/** The encrypted VMs that the plan means, by name. Throws `not-found` for a VM, cluster, policy or provider that is not there. */
export async function chooseVms(database: Database, { selection }: CampaignPlan, now: number): Promise<Chosen[]> {
  await requireNames(database, selection)
  const facts = await readFacts(database)
  const named = selection.vms === undefined ? null : new Set(selection.vms)
  const vms = await readVms(database, {})
  const missing = [...(named ?? [])].find((name) => !vms.some(({ row }) => row.name === name))
  if (missing !== undefined) {
    throw new ControlPlaneError('not-found', `selection.vms: there is no VM ${missing}`, { field: 'selection.vms' })
  }
  return vms.flatMap((vm) => {
    const keys = keysOf(authorityOf(vm))
    if (keys.length === 0) return []
    const ages = keys.map((key) => ageDays(facts, key, now))
    const fits =
      (named === null || named.has(vm.row.name)) &&
      (selection.policy === undefined || policiesOf(vm).includes(selection.policy)) &&
      (selection.keyProvider === undefined || keys.some(({ provider }) => provider === selection.keyProvider)) &&
      (selection.cluster === undefined || vm.clusterName === selection.cluster) &&
      (selection.olderThanDays === undefined || ages.some((age) => age !== null && age >= olderThan(selection))) &&
      (selection.exposed !== true || keys.some((key) => facts.exposed.has(keyText(key)))) &&
      (selection.rotationDue !== true || isRotationDue(facts, vm, now))
    return fits ? [{ vm, keys }] : []
  })
}

const olderThan = ({ olderThanDays = 0 }: CampaignPlan['selection']) => olderThanDays

/** Throws `not-found` for a VM that the plan names and that is hidden, as if it were not there. */
export function requireSeen({ selection }: CampaignPlan, chosen: readonly Chosen[], sight: Sight): void {
  if (selection.vms === undefined) return
  const hidden = chosen.find(({ vm }) => !sight.sees('vm', vm.row.id))
  if (hidden !== undefined) throw notThere('selection.vms', `VM ${hidden.vm.row.name}`)
}

/** What a run that began now would do; of VMs that `sight` does not reach how many there are. It tells of what speaks against it and changes nothing. */
export async function previewOf(work: WorkContext, plan: CampaignPlan, sight: Sight): Promise<CampaignPreview> {
  const { database } = work
  const now = work.clock()
  const facts = await readFacts(database)
  const all = await chooseVms(database, plan, now)
  requireSeen(plan, all, sight)
  const chosen = all.filter(({ vm }) => sight.sees('vm', vm.row.id))
  const deep = plan.depth === 'deep'
  const vms = chosen.map(({ vm, keys }) => {
    const host = sight.sees('host', vm.row.host_id) ? vm.hostName : '-'
    const ages = keys.map((key) => ageDays(facts, key, now)).filter((age) => age !== null)
    return {
      vm: vm.row.name,
      host,
      keys: keys.map(({ provider, keyId }) => ({ provider, keyId })),
      keyAgeDays: ages.length === 0 ? null : Math.max(...ages),
      bytes: deep ? encryptedBytes(vm) : 0,
      problem: problemOf(work, vm, deep),
    }
  })
  const totalBytes = vms.reduce((sum, { bytes }) => sum + bytes, 0)
  const rate = deep && totalBytes > 0 ? await deepRate(database) : null
  const atOnce = Math.min(plan.atOnceMax ?? atOnceDefault, Math.max(1, new Set(vms.map(({ host }) => host)).size))
  const hiddenCount = all.length - chosen.length
  return {
    vms,
    hiddenCount,
    totalBytes,
    secondsEstimated: rate === null ? null : Math.ceil(totalBytes / rate / atOnce),
  }
}

/** How many VMs are rekeyed at once, and on one host, where the plan does not say. */
export const atOnceDefault = 8
export const perHostDefault = 2

function problemOf(work: WorkContext, vm: VmRecord, deep: boolean): string | null {
  const { row, hostName } = vm
  if (row.task_id !== null) return `it is busy with task ${row.task_id}`
  if (row.lock_state === 'locked') return `it is locked: ${row.lock_text ?? 'its host does not say why'}`
  if (work.hostConnections.get(row.host_id) === null) return `its host ${hostName} is not connected`
  const { needs } = powerNeeds[deep ? 'deep-rekey' : 'shallow-rekey']
  if (needs === 'off' && isOn(vm.machine)) return `${whyNotOff(vm)}: it is left out unless it is powered off`
  const device = deep ? vm.disks.find((disk) => disk.device !== null && disk.encryption !== null) : undefined
  return device === undefined ? null : `disk ${device.number} lies on a block device: there is no deep rekey of one`
}

function encryptedBytes(vm: VmRecord): number {
  return vm.disks.reduce((sum, disk) => sum + (disk.encryption === null ? 0 : disk.payload_bytes), 0)
}

/** Bytes a second of the last deep rekeys; `null`: there were none. */
async function deepRate(database: Database): Promise<number | null> {
  const rows = await database
    .selectFrom('task')
    .select(['total_bytes', 'started_at', 'ended_at'])
    .where('type', '=', 'vm.rekey')
    .where('state', '=', 'success')
    .where('total_bytes', '>', 0)
    .orderBy('ended_at', 'desc')
    .limit(20)
    .execute()
  const rates = rows.flatMap(({ total_bytes, started_at, ended_at }) =>
    started_at === null || ended_at === null || ended_at <= started_at
      ? []
      : [(total_bytes * 1000) / (ended_at - started_at)],
  )
  return rates.length === 0 ? null : rates.reduce((sum, rate) => sum + rate, 0) / rates.length
}

async function readFacts(database: Database): Promise<Facts> {
  const keys = await database
    .selectFrom('key')
    .select(['provider', 'key_id', 'created_at'])
    .where('state', '=', 'current')
    .execute()
  const exposed = await database.selectFrom('exposed_key').select(['provider', 'key_id']).execute()
  const policies = await database
    .selectFrom('policy')
    .select(['name', 'rotation_days'])
    .where('rotation_days', 'is not', null)
    .execute()
  return {
    createdAt: new Map(
      keys.map(({ provider, key_id, created_at }) => [keyText({ provider, keyId: key_id }), created_at]),
    ),
    exposed: new Set(exposed.map(({ provider, key_id }) => keyText({ provider, keyId: key_id }))),
    rotationDays: new Map(policies.map(({ name, rotation_days }) => [name, rotation_days ?? 0])),
  }
}

function ageDays({ createdAt }: Facts, key: KeyReference, now: number): number | null {
  const at = createdAt.get(keyText(key))
  return at === undefined ? null : Math.max(0, Math.floor((now - at) / dayMs))
}

/** Whether a part has a KEK that is at least as old as its policy lets one become. */
function isRotationDue(facts: Facts, vm: VmRecord, now: number): boolean {
  const parts = [
    { policy: vm.policy, encryption: vm.row.encryption },
    ...vm.disks.map(({ policy, encryption }) => ({ policy, encryption })),
  ]
  return parts.some(({ policy, encryption }) => {
    const days = facts.rotationDays.get(policy)
    if (days === undefined) return false
    return (parseEncryption(encryption)?.keys ?? []).some((key) => (ageDays(facts, key, now) ?? 0) >= days)
  })
}

const policiesOf = (vm: VmRecord) => [vm.policy, ...vm.disks.map(({ policy }) => policy)]

async function requireNames(database: Database, selection: CampaignPlan['selection']): Promise<void> {
  const { policy, keyProvider, cluster } = selection
  if (policy !== undefined) {
    const row = await database.selectFrom('policy').select('name').where('name', '=', policy).executeTakeFirst()
    if (row === undefined) throw notThere('selection.policy', `policy ${policy}`)
  }
  if (cluster !== undefined) {
    const row = await database.selectFrom('cluster').select('name').where('name', '=', cluster).executeTakeFirst()
    if (row === undefined) throw notThere('selection.cluster', `cluster ${cluster}`)
  }
  if (keyProvider !== undefined) {
    // A provider that was lost still has VMs.
    const row = await database
      .selectFrom('key')
      .select('provider')
      .where('provider', '=', keyProvider)
      .executeTakeFirst()
    if (row === undefined) throw notThere('selection.keyProvider', `key of a key provider ${keyProvider}`)
  }
}

function notThere(field: string, what: string): ControlPlaneError {
  return new ControlPlaneError('not-found', `${field}: there is no ${what}`, { field })
}
