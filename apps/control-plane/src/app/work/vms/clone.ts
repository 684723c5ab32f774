import type { CloneVm } from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { FolderTree } from '../../inventory/folder-tree.ts'
import type { Whereabouts } from '../../key-providers/provider-choice.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { KeyPlan } from '../tasks/task-context.ts'
import { paceOf, requireIdle } from './change-request.ts'
import { findPolicy, findProvider } from './lookup.ts'
import { checkVerify, existingKey, namedProvider } from './policy-keys.ts'
import { newVmRow, requireFreeName, type VmCreation } from './vm-creation.ts'
import { authorityOf, type VmRecord } from './vm-store.ts'

/**
 * Works out how a VM is cloned within its cluster, and checks all of it before anything happens. Without a host or
 * datastore named, the clone goes where its source is. Throws `ControlPlaneError`.
 */
export async function planClone(
  work: WorkContext,
  principal: Principal,
  source: VmRecord,
  request: CloneVm,
): Promise<VmCreation> {
  const encrypted = source.row.encryption !== null
  const keys = request.keys ?? 'new'
  if (encrypted) requirePrivileges(principal, contentRules.cloneEncrypted.privileges, source.objectPath)
  const tree = await FolderTree.read(work.database)
  const folder = request.folder === undefined ? source.row.folder_id : tree.find(request.folder, 'folder')?.id
  requirePrivileges(principal, contentRules.cloneInto.privileges, tree.pathOf(folder ?? null))
  checkKeyProvider(source, request, keys)
  const home = await findPolicy(work.database, source.policy, 'policy')
  checkVerify([home], request)
  await requireFreeName(work.database, request.name)
  requireIdle(source)
  const named = namedProvider([home], request.keyProvider)
  const keyAt = async (near: Whereabouts): Promise<KeyPlan> => {
    if (!encrypted) return { kind: 'none' }
    if (keys === 'same') return existingKey(source)
    return { kind: 'new', provider: await findProvider(work.database, named, undefined, near) }
  }
  const wish = {
    cluster: source.clusterName,
    host: request.host ?? source.hostName,
    datastore: request.datastore ?? source.datastoreName,
  }
  const policy = { id: source.row.policy_id, version: source.row.policy_version }
  const { row, key } = await newVmRow(work, principal, {
    ...{ name: request.name, policy, folderId: folder ?? null, wish, encrypted, keyAt },
  })
  return {
    row,
    change: {
      kind: 'clone-vm',
      source: authorityOf(source),
      keys,
      diskIds: source.disks.map(() => v7()),
      pace: paceOf(request),
    },
    key,
  }
}

function checkKeyProvider(source: VmRecord, request: CloneVm, keys: 'same' | 'new'): void {
  if (request.keyProvider === undefined || (keys === 'new' && source.row.encryption !== null)) return
  const why =
    source.row.encryption === null
      ? `VM ${source.row.name} is plain, so its clone needs no key`
      : 'with the same keys none is asked for'
  throw new ControlPlaneError('invalid', `keyProvider: ${why}`, { field: 'keyProvider' })
}
