import type { CoverageRow } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeTextOrNull } from '../clock.ts'
import { keyText } from '../key-reference.ts'
import type { Scope } from '../permissions/scope.ts'
import { parseEncryption } from '../work/vms/vm-store.ts'

const dayMs = 86_400_000

/** How many VMs are read at once. */
const pageSize = 500

/** In this order: what is plain comes first. */
const classes = ['plain', 'partial', 'encrypted'] as const

/** VM Home and every disk of every VM in `scope`, page by page, so that no number of VMs is held in memory. */
export async function* coverageRows(
  database: Kysely<Schema>,
  clock: Clock,
  scope: Pick<Scope, 'everywhere' | 'vmIds'>,
): AsyncGenerator<CoverageRow[]> {
  for (const of of classes) {
    let after = ''
    for (;;) {
      const vms = await page(database, of, after, scope)
      const last = vms.at(-1)
      if (last === undefined) break
      yield await rowsOf(database, vms, clock())
      after = last.name
    }
  }
}

type PageVm = Awaited<ReturnType<typeof page>>[number]

async function page(
  database: Kysely<Schema>,
  of: (typeof classes)[number],
  after: string,
  { everywhere, vmIds }: Pick<Scope, 'everywhere' | 'vmIds'>,
) {
  let select = database
    .selectFrom('vm')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .innerJoin('cluster', 'cluster.id', 'host.cluster_id')
    .innerJoin('policy', 'policy.id', 'vm.policy_id')
    .leftJoin('vm_compliance', 'vm_compliance.vm_id', 'vm.id')
    .select(['vm.id', 'vm.name', 'vm.encryption', 'vm.lock_state', 'host.name as host', 'cluster.name as cluster'])
    .select(['policy.name as policy', 'vm_compliance.state as compliance'])
    .where('vm.name', '>', after)
    .orderBy('vm.name')
    .limit(pageSize)
  if (!everywhere) select = select.where('vm.id', 'in', vmIds)
  if (of === 'plain') select = select.where('vm.encryption', 'is', null)
  else {
    const isPartial = of === 'partial'
    select = select.where('vm.encryption', 'is not', null).where((where) => {
      const plainDisks = where
        .selectFrom('disk')
        .select('disk.id')
        .whereRef('disk.vm_id', '=', 'vm.id')
        .where('disk.encryption', 'is', null)
      return isPartial ? where.exists(plainDisks) : where.not(where.exists(plainDisks))
    })
  }
  return select.execute()
}

async function rowsOf(database: Kysely<Schema>, vms: readonly PageVm[], now: number): Promise<CoverageRow[]> {
  const disks = await database
    .selectFrom('disk')
    .innerJoin('policy', 'policy.id', 'disk.policy_id')
    .select(['disk.vm_id', 'disk.number', 'disk.encryption', 'disk.virtual_bytes', 'policy.name as policy'])
    .where(
      'disk.vm_id',
      'in',
      vms.map(({ id }) => id),
    )
    .orderBy('disk.number')
    .execute()
  const byVm = Map.groupBy(disks, ({ vm_id }) => vm_id)
  const keys = [...vms, ...disks].flatMap(({ encryption }) => parseEncryption(encryption)?.keys.at(-1) ?? [])
  const known = await knownKeys(database, keys)
  return vms.flatMap((vm) => {
    const common = {
      vm: vm.name,
      vmId: vm.id,
      cluster: vm.cluster,
      host: vm.host,
      compliance: vm.compliance ?? 'unknown',
      lock: vm.lock_state,
    }
    const part = (name: string, sizeBytes: number | null, policy: string, encryption: string | null): CoverageRow => {
      const key = parseEncryption(encryption)?.keys.at(-1) ?? null
      const about = key === null ? undefined : known.get(keyText(key))
      return {
        ...common,
        part: name,
        sizeBytes,
        encrypted: encryption !== null,
        policy,
        provider: key?.provider ?? null,
        keyId: key?.keyId ?? null,
        keyAgeDays: about?.created == null ? null : Math.max(0, Math.floor((now - about.created) / dayMs)),
        keyState: key === null ? null : (about?.state ?? 'unchecked'),
        lastVerified: timeTextOrNull(about?.verified ?? null),
      }
    }
    return [
      part('VM Home', null, vm.policy, vm.encryption),
      ...(byVm.get(vm.id) ?? []).map((disk) =>
        part(`disk ${disk.number}`, disk.virtual_bytes, disk.policy, disk.encryption),
      ),
    ]
  })
}

interface KnownKey {
  created: number | null
  state: string | null
  verified: number | null
}

/** What is on record of keys, and how they were found last (`keyText`). */
async function knownKeys(database: Kysely<Schema>, keys: readonly KeyReference[]): Promise<Map<string, KnownKey>> {
  const ids = [...new Set(keys.map(({ keyId }) => keyId))]
  if (ids.length === 0) return new Map()
  const rows = await database
    .selectFrom('key')
    .leftJoin('key_health', (join) =>
      join.onRef('key_health.provider', '=', 'key.provider').onRef('key_health.key_id', '=', 'key.key_id'),
    )
    .select(['key.provider', 'key.key_id', 'key.created_at', 'key_health.state', 'key_health.verified_at'])
    .where('key.key_id', 'in', ids)
    .execute()
  return new Map(
    rows.map((row) => [
      keyText({ provider: row.provider, keyId: row.key_id }),
      { created: row.created_at, state: row.state, verified: row.verified_at },
    ]),
  )
}
