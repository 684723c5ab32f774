import { type AttachDisk, plainPolicy } from '@cryptvisor/control-plane-api'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { diskOf, findDetached } from '../policies/detached-disks.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { requireCapableHost, requireConnection, requireIdle } from './change-request.ts'
import { freeNumber, refuseEncryptedDisk } from './disk-addition.ts'
import { findHost, findPolicy } from './lookup.ts'
import type { VmRecord } from './vm-store.ts'

/** Works out how a disk is taken from a VM, and checks all of it before anything happens. The VM may be locked. */
export function planDetachment(
  work: WorkContext,
  vm: VmRecord,
  number: number,
  remove: boolean,
): { change: VmChange; key: KeyPlan } {
  const disk = vm.disks.find((candidate) => candidate.number === number)
  if (disk === undefined) {
    throw new ControlPlaneError('not-found', `VM ${vm.row.name} has no disk ${number}: see «disk list»`, {
      field: 'number',
    })
  }
  requireIdle(vm)
  requireConnection(work, { id: vm.row.host_id, name: vm.hostName })
  return { change: { kind: 'detach-disk', diskId: disk.id, number, remove }, key: { kind: 'none' } }
}

/**
 * Works out how a layer that was detached becomes a disk, and checks all of it before anything happens. An encrypted one has to
 * come back under a policy that encrypts, and a plain one under one that does not.
 */
export async function planAttachment(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: AttachDisk,
): Promise<{ change: VmChange; key: KeyPlan }> {
  const layer = await findDetached(work.database, request.layer)
  const encrypted = layer.encryption !== null
  if (encrypted) requirePrivileges(principal, contentRules.attachEncrypted.privileges, vm.objectPath)
  if (layer.datastore_id !== vm.row.datastore_id) {
    throw new ControlPlaneError(
      'invalid',
      `layer: detached disk ${layer.layer_id} lies on another datastore than VM ${vm.row.name}, which is on ${vm.datastoreName}: attach it to a VM there`,
      { field: 'layer' },
    )
  }
  if (encrypted) refuseEncryptedDisk(vm)
  const policy = await findPolicy(work.database, request.policy ?? (encrypted ? vm.policy : plainPolicy), 'policy')
  if (encrypted && policy.encryption === 0) {
    throw new ControlPlaneError(
      'invalid',
      `policy: detached disk ${layer.layer_id} is encrypted, so it is attached with a storage policy that encrypts, and «${policy.name}» does not: name another one, and decrypt the disk afterwards if it is to be plain`,
      { field: 'policy' },
    )
  }
  if (!encrypted && policy.encryption === 1) {
    throw new ControlPlaneError(
      'invalid',
      `policy: detached disk ${layer.layer_id} is plain, so it is attached with a storage policy that does not encrypt, such as «${plainPolicy}»: attach it so, then encrypt it («vm encrypt ${vm.row.name} --disk N»)`,
      { field: 'policy' },
    )
  }
  requireIdle(vm)
  const number = vm.disks.some((disk) => disk.number === layer.number) ? freeNumber(vm) : layer.number
  const disk = diskOf(layer, number, policy.name)
  const kek = disk.encryption?.keys.at(-1)
  const key: KeyPlan = kek === undefined ? { kind: 'none' } : { kind: 'existing', key: kek }
  const host = await findHost(work.database, vm.row.host_id)
  if (encrypted) await requireCapableHost(work, host, vm.row.name, key, principal)
  else requireConnection(work, host)
  return { change: { kind: 'attach-disk', disk, folder: layer.folder === vm.row.folder ? null : layer.folder }, key }
}
