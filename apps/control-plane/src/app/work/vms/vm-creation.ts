import { type CreateVm, plainPolicy } from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import type { VmRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { FolderTree } from '../../inventory/folder-tree.ts'
import type { Whereabouts } from '../../key-providers/provider-choice.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { isCryptoSafe } from '../keys/host-keys.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { mayMakeSafe, requireCapableHost, requireConnection } from './change-request.ts'
import { checkSize } from './disk-addition.ts'
import { findPolicy, findProvider } from './lookup.ts'
import { placeVm } from './placement.ts'
import { formatFor, namedProvider } from './policy-keys.ts'

const defaults = { memoryMib: 1024, cpuCount: 1, firmware: 'bios', notes: '' } as const

/** A VM that is to be made: its row, and how. */
export interface VmCreation {
  readonly row: Omit<VmRow, 'task_id' | 'folder'>
  readonly change: VmChange
  readonly key: KeyPlan
}

/** What a new VM's row follows from. */
interface NewVm {
  readonly name: string
  readonly policy: { readonly id: string; readonly version: number }
  /** Of the inventory; null: the root. */
  readonly folderId: string | null
  /** Where it is wished to go. */
  readonly wish: Parameters<typeof placeVm>[2]
  readonly encrypted: boolean
  /** Which key it gets where it goes. */
  readonly keyAt: (near: Whereabouts) => Promise<KeyPlan>
}

/** Chooses where a new VM goes and makes sure that its host can take it. Throws `ControlPlaneError`. */
export async function newVmRow(
  work: WorkContext,
  principal: Principal,
  { name, policy, folderId, wish, encrypted, keyAt }: NewVm,
): Promise<Pick<VmCreation, 'row' | 'key'>> {
  const { host, datastore } = await placeVm(work, principal, wish, async (candidate) => {
    if (!encrypted) return true
    if (candidate.crypto_supported === 0) return false
    return isCryptoSafe(candidate) || (await mayMakeSafe(work.database, principal, candidate.id))
  })
  const key = await keyAt({ clusterId: host.cluster_id, folderId })
  if (encrypted) await requireCapableHost(work, host, name, key, principal)
  else requireConnection(work, host)
  const row: VmCreation['row'] = {
    id: v7(),
    name,
    host_id: host.id,
    folder_id: folderId,
    datastore_id: datastore.id,
    generation: 0,
    policy_id: policy.id,
    policy_version: policy.version,
    encryption: null,
    lock_state: 'unknown',
    lock_text: 'it is being made',
    lock_missing_keys: '[]',
    lock_cause: null,
    lock_since: null,
    created_at: work.clock(),
  }
  return { row, key }
}

/** Works out how a VM is made, and checks all of it before anything happens. */
export async function planVmCreation(work: WorkContext, principal: Principal, request: CreateVm): Promise<VmCreation> {
  const policy = await findPolicy(work.database, request.policy ?? plainPolicy, 'policy')
  const encrypted = policy.encryption === 1
  const tree = await FolderTree.read(work.database)
  const folder = tree.find(request.folder ?? '/', 'folder')
  const needed = [
    'VirtualMachine.Inventory.Create' as const,
    ...(encrypted ? contentRules.createEncrypted.privileges : []),
    ...((request.disks ?? []).length === 0 ? [] : contentRules.addDiskAtCreation.privileges),
  ]
  requirePrivileges(principal, needed, tree.pathOf(folder?.id ?? null))
  if (!encrypted && request.keyProvider !== undefined) {
    throw new ControlPlaneError('invalid', `keyProvider: «${policy.name}» does not encrypt, so no key is asked for`, {
      field: 'keyProvider',
    })
  }
  for (const [index, disk] of (request.disks ?? []).entries()) checkSize(disk.sizeBytes, `disks.${index}.sizeBytes`)
  await requireFreeName(work.database, request.name)
  const named = namedProvider([policy], request.keyProvider)
  const keyAt = async (near: Whereabouts): Promise<KeyPlan> =>
    encrypted ? { kind: 'new', provider: await findProvider(work.database, named, undefined, near) } : { kind: 'none' }
  const { row, key } = await newVmRow(work, principal, {
    ...{ name: request.name, policy, folderId: folder?.id ?? null, wish: request, encrypted, keyAt },
  })
  return {
    row,
    change: {
      kind: 'create-vm',
      encrypted,
      details: {
        memoryMib: request.memoryMib ?? defaults.memoryMib,
        cpuCount: request.cpuCount ?? defaults.cpuCount,
        firmware: request.firmware ?? defaults.firmware,
        notes: request.notes ?? defaults.notes,
      },
      disks: (request.disks ?? []).map(({ sizeBytes, format }, number) => ({
        diskId: v7(),
        number,
        format: formatFor(policy, encrypted, format, `disks.${number}.format`),
        virtualBytes: sizeBytes,
        policy: policy.name,
        encrypted,
      })),
    },
    key,
  }
}

/** Throws `already-exists` when a VM has that name. */
export async function requireFreeName(database: Database, name: string): Promise<void> {
  const taken = await database.selectFrom('vm').select('id').where('name', '=', name).executeTakeFirst()
  if (taken === undefined) return
  throw new ControlPlaneError('already-exists', `name: there is a VM ${name} already: choose another name`, {
    field: 'name',
  })
}

/** The VM's name, when it can be a folder's and no other VM on the datastore has it; else the VM's ID. */
export async function chooseFolder(
  database: Database,
  vm: Pick<VmRow, 'id' | 'name' | 'datastore_id'>,
): Promise<string> {
  if (!/^[0-9A-Za-z][0-9A-Za-z._-]*$/.test(vm.name)) return vm.id
  const taken = await database
    .selectFrom('vm')
    .select('id')
    .where('datastore_id', '=', vm.datastore_id)
    .where('folder', '=', vm.name)
    .executeTakeFirst()
  // A layer that was detached may lie there still.
  const layer = await database
    .selectFrom('detached_disk')
    .select('layer_id')
    .where('datastore_id', '=', vm.datastore_id)
    .where('folder', '=', vm.name)
    .executeTakeFirst()
  return taken === undefined && layer === undefined ? vm.name : vm.id
}
