import type { KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { Kysely } from 'kysely'
import type { HostRow, Schema } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyReference, keyText } from '../../key-reference.ts'
import type { HostConnection, Principal } from '../../ports.ts'
import { askOutside, isRehearsed } from '../../rehearsal.ts'
import { agentRefusal } from '../agent-refusal.ts'
import type { Database, WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { findKey, keysForHost } from '../keys/key-rows.ts'
import { keysOf } from '../vms/vm-store.ts'

/** The host that opens what was found. */
export interface Opener {
  readonly host: Pick<HostRow, 'id' | 'name' | 'cluster_id'>
  readonly connection: HostConnection
}

/** Throws `no-key-provider` where a KEK's provider is not here, naming it and the KEKs, and `key-missing` for one that is given up. */
export async function requireProviders(database: Database, what: string, keys: readonly KeyReference[]): Promise<void> {
  const known = new Set((await database.selectFrom('key_provider').select('name').execute()).map(({ name }) => name))
  const missing = Map.groupBy(
    keys.filter(({ provider }) => !known.has(provider)),
    ({ provider }) => provider,
  )
  if (missing.size > 0) {
    const texts = [...missing].map(
      ([provider, ofProvider]) => `«${provider}» (for the keys ${ofProvider.map(({ keyId }) => keyId).join(', ')})`,
    )
    throw new ControlPlaneError(
      'no-key-provider',
      `${what} needs the key provider ${texts.join(' and ')}, which is not here. Its name is its ID and stands in the VM's files: make it again under exactly that name, with «key-provider add» for a KMIP server that has the keys, or from its backup with «key-provider restore» for a native one; then try again`,
    )
  }
  for (const key of keys) {
    const row = await findKey(database, key)
    if (row === null || !(row.state === 'discarded' || row.state === 'destroyed')) continue
    throw new ControlPlaneError(
      'key-missing',
      `${what} needs the key ${keyText(key)}, which was ${row.state === 'destroyed' ? 'destroyed' : 'given up and is about to be destroyed'} here: without a backup of the key server that still has it the data cannot be read`,
    )
  }
}

/**
 * Proves that what a datastore says of a VM is so: gives the host the KEKs that it names and has it open every key record and
 * every file. Throws `kms-unreachable`, `key-missing` and the like, and `vm-locked` when something does not authenticate; then
 * the host forgets the KEKs that nothing uses again.
 */
export async function proveFound(
  work: WorkContext,
  handOver: HandOver,
  { host, connection }: Opener,
  found: VmAuthority,
  principal: Principal,
): Promise<void> {
  const keys = keysOf(found)
  const purpose = { host: host.name, vm: found.name, user: principal.name, task: null }
  try {
    await handOver.ensureHeld(host, connection, keys, purpose)
    // In a dry run no key is handed over: then the host opens what it can open already, and no more.
    if (isRehearsed() && !(await holdsAll(host.name, connection, keys))) return
    const { state, reason } = await askOutside(`whether ${host.name} opens ${found.vmId}`, () =>
      connection.client.unlock(found),
    )
    if (state === 'unlocked') return
    throw new ControlPlaneError(
      'vm-locked',
      `host ${host.name} cannot open the VM in ${found.datastorePath}/${found.folder}: ${reason?.text ?? 'it does not say why'}. Nothing was changed; restore the files from a backup of the same time as vm.json, and try again`,
    )
  } catch (error) {
    await forgetUnneeded(work.database, handOver, host.cluster_id, keys)
    if (error instanceof RestClientError) throw agentRefusal(`host ${host.name}`, error)
    throw error
  }
}

/** Has the hosts of a cluster forget those of `keys` that no VM of its inventory and no task of it needs. */
export async function forgetUnneeded(
  database: Kysely<Schema>,
  handOver: HandOver,
  clusterId: string,
  keys: readonly KeyReference[],
): Promise<void> {
  const needed = new Set((await keysForHost(database, '', clusterId)).map(({ key }) => keyText(key)))
  const hostKeys = await database.selectFrom('host').select(['host_key_provider', 'host_key_id']).execute()
  for (const { host_key_provider, host_key_id } of hostKeys) {
    const key = keyReference(host_key_provider, host_key_id)
    if (key !== null) needed.add(keyText(key))
  }
  await handOver.forget(
    clusterId,
    keys.filter((key) => !needed.has(keyText(key))),
  )
}

async function holdsAll(host: string, connection: HostConnection, keys: readonly KeyReference[]): Promise<boolean> {
  const answer = await askOutside(`which keys host ${host} holds`, () => connection.client.keys())
  const held = new Set(answer.keys.map(keyText))
  return keys.every((key) => held.has(keyText(key)))
}

/** Puts the KEKs of a VM on record that are not, and takes those back into use that were retired. */
export async function adoptKeys(
  database: Database,
  vm: { readonly id: string; readonly name: string },
  keys: readonly KeyReference[],
  now: number,
): Promise<void> {
  for (const key of keys) {
    const values = { owner_kind: 'vm' as const, owner_id: vm.id, owner_name: vm.name }
    await database
      .insertInto('key')
      .values({
        provider: key.provider,
        key_id: key.keyId,
        ...values,
        task_id: null,
        state: 'current',
        created_at: now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    await database
      .updateTable('key')
      .set({ state: 'current', ...values })
      .where('provider', '=', key.provider)
      .where('key_id', '=', key.keyId)
      .where('state', 'in', ['pending', 'retired'])
      .execute()
  }
}
