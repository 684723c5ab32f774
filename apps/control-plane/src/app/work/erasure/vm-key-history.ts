import type { KeyReference } from '@cryptvisor/host-agent-api'
import { distinctKeys, keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'
import { referenceOf } from '../keys/key-rows.ts'
import { authorityOf, keysOf, type VmRecord } from '../vms/vm-store.ts'

/** Every KEK that wraps a DEK of the VM, or ever did, or may have: those it uses first. */
export async function keysEverOf(database: Database, vm: VmRecord): Promise<KeyReference[]> {
  const noted = await database
    .selectFrom('vm_key')
    .select(['provider', 'key_id'])
    .where('vm_id', '=', vm.row.id)
    .orderBy('key_id')
    .execute()
  const made = await database
    .selectFrom('key')
    .select(['provider', 'key_id'])
    .where('owner_kind', '=', 'vm')
    .where('owner_id', '=', vm.row.id)
    .where('state', 'in', ['pending', 'current', 'retired'])
    .orderBy('key_id')
    .execute()
  return distinctKeys([...keysOf(authorityOf(vm)), ...noted.map(referenceOf), ...made.map(referenceOf)])
}

/** Which of `keys` (`keyText`) are on record as destroyed. */
export async function destroyedBefore(database: Database, keys: readonly KeyReference[]): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set()
  const ids = keys.map(({ keyId }) => keyId)
  const rows = await database
    .selectFrom('key')
    .select(['provider', 'key_id'])
    .where('state', '=', 'destroyed')
    .where('key_id', 'in', ids)
    .execute()
  return new Set(rows.map((row) => keyText(referenceOf(row))))
}

/** Names of other VMs that were wrapped with one of `keys` once: clones with the same keys may hold the same DEKs. */
export async function sharedOnceWith(
  database: Database,
  keys: readonly KeyReference[],
  vmId: string,
): Promise<string[]> {
  if (keys.length === 0) return []
  const rows = await database
    .selectFrom('vm_key')
    .leftJoin('vm', 'vm.id', 'vm_key.vm_id')
    .select(['vm_key.vm_id', 'vm.name', 'vm_key.provider', 'vm_key.key_id'])
    .where('vm_key.vm_id', '!=', vmId)
    .where(
      'vm_key.key_id',
      'in',
      keys.map(({ keyId }) => keyId),
    )
    .execute()
  const names = new Set(keys.map(keyText))
  const shared = rows.filter((row) => names.has(keyText(referenceOf(row))))
  return [...new Set(shared.map(({ name, vm_id }) => name ?? `that was deleted (${vm_id})`))].toSorted()
}

/** What it means that keys come from native providers: they are never gone for good while the derivation key is there. */
export async function nativeWarnings(database: Database, keys: readonly KeyReference[]): Promise<string[]> {
  const names = [...new Set(keys.map(({ provider }) => provider))]
  if (names.length === 0) return []
  const rows = await database.selectFrom('native_provider').select('provider').where('provider', 'in', names).execute()
  return rows.map(
    ({ provider }) =>
      `Provider ${provider} is a native one: its keys follow from its derivation key and their IDs. They are marked as destroyed and never derived here again, and whoever has the derivation key, such as in a backup of the provider (PKCS#12) with its password or of the control plane with its root key, derives them still.`,
  )
}
