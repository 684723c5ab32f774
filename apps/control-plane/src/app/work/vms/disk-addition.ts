import { type AddDisk, type ImportDisk, plainPolicy } from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pathOfId } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { requireCapableHost, requireConnection, requireIdle } from './change-request.ts'
import { requireFreeDevice } from './device-claim.ts'
import { findHost, findPolicy } from './lookup.ts'
import { formatFor, keyForDisk, namedProvider } from './policy-keys.ts'
import type { VmRecord } from './vm-store.ts'

const disksMax = 64
const sectorBytes = 512

/** Works out how an empty disk is added, and checks all of it before anything happens. */
export async function planDiskAddition(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: AddDisk,
): Promise<{ change: VmChange; key: KeyPlan }> {
  if (request.device !== undefined) return planDevice(work, principal, vm, request, request.device)
  const policy = await findPolicy(work.database, request.policy ?? vm.policy, 'policy')
  const encrypted = policy.encryption === 1
  if (encrypted) requirePrivileges(principal, contentRules.addEncryptedDisk.privileges, vm.objectPath)
  if (encrypted) refuseEncryptedDisk(vm)
  await requireMayAdd(work, principal, vm)
  checkSize(request.sizeBytes, 'sizeBytes')
  requireIdle(vm)
  const format = formatFor(policy, encrypted, request.format, 'format')
  const key = encrypted
    ? await keyForDisk(work.database, vm, namedProvider([policy], undefined))
    : { kind: 'none' as const }
  const host = await findHost(work.database, vm.row.host_id)
  if (encrypted) await requireCapableHost(work, host, vm.row.name, key, principal)
  else requireConnection(work, host)
  const disk = {
    diskId: v7(),
    number: freeNumber(vm),
    format,
    virtualBytes: request.sizeBytes,
    policy: policy.name,
    encrypted,
  }
  return { change: { kind: 'add-disk', disk }, key }
}

/** Throws `encryption-order`: an encrypted disk needs an encrypted VM Home (DESIGN.md, section 4). */
export function refuseEncryptedDisk(vm: VmRecord): void {
  if (vm.row.encryption !== null) return
  throw new ControlPlaneError(
    'encryption-order',
    `policy: VM ${vm.row.name} is plain, so it cannot have an encrypted disk: encrypt VM Home first, or add the disk with «${plainPolicy}» and encrypt the VM with it`,
    { field: 'policy' },
  )
}

/** A block device is attached as it is; encrypting the disk afterwards does so in place. */
async function planDevice(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: AddDisk,
  device: string,
): Promise<{ change: VmChange; key: KeyPlan }> {
  requirePrivileges(principal, contentRules.rawDevice.privileges, vm.objectPath)
  await requireMayAdd(work, principal, vm)
  const policy = await findPolicy(work.database, request.policy ?? plainPolicy, 'policy')
  if (policy.encryption === 1) {
    const message = 'policy: a block device is attached plain, with what lies on it: attach it, then encrypt the disk'
    throw new ControlPlaneError('invalid', message, { field: 'policy' })
  }
  if (request.format === 'qcow2') {
    throw new ControlPlaneError('invalid', 'format: a disk on a block device is raw', { field: 'format' })
  }
  if (device.split('/').some((part) => part === '..' || part === '.')) {
    throw new ControlPlaneError('invalid', 'device: expected a path below /dev without . and ..', { field: 'device' })
  }
  checkSize(request.sizeBytes, 'sizeBytes')
  requireIdle(vm)
  await requireFreeDevice(work.database, vm.clusterId, device)
  requireConnection(work, { id: vm.row.host_id, name: vm.hostName })
  const disk = {
    diskId: v7(),
    number: freeNumber(vm),
    format: 'raw' as const,
    virtualBytes: request.sizeBytes,
    policy: policy.name,
    encrypted: false,
    device,
  }
  return { change: { kind: 'add-disk', disk }, key: { kind: 'none' } }
}

/** Works out how a plain image is imported, and checks all of it before anything happens. */
export async function planDiskImport(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: ImportDisk,
): Promise<VmChange> {
  await requireMayAdd(work, principal, vm)
  if (request.format === 'raw')
    checkSize(request.contentBytes, 'contentBytes', ': pad it first, for instance with truncate -s %512 FILE')
  requireIdle(vm)
  requireConnection(work, { id: vm.row.host_id, name: vm.hostName })
  return {
    kind: 'import-disk',
    diskId: v7(),
    number: freeNumber(vm),
    format: request.format,
    payloadBytes: request.contentBytes,
    policy: plainPolicy,
  }
}

/** Throws `no-privilege` for whoever may not add a disk to an encrypted VM, or put anything onto its datastore. */
export async function requireMayAdd(work: WorkContext, principal: Principal, vm: VmRecord): Promise<void> {
  const path = await pathOfId(work.database, { kind: 'datastore', id: vm.row.datastore_id })
  if (vm.row.encryption !== null) {
    requirePrivileges(principal, contentRules.addDiskToEncrypted.privileges, vm.objectPath)
  }
  requirePrivileges(principal, contentRules.allocate.privileges, path ?? undefined)
}

/** A disk is a whole number of sectors; `advice` ends the error's text. */
export function checkSize(sizeBytes: number, field: string, advice = ''): void {
  if (sizeBytes % sectorBytes === 0) return
  const text = `${field}: a disk has a multiple of ${sectorBytes} bytes, not ${sizeBytes}${advice}`
  throw new ControlPlaneError('invalid', text, { field })
}

/** The lowest number that no disk of the VM has. Throws `invalid` when it has as many as a VM can have. */
export function freeNumber(vm: VmRecord): number {
  const taken = new Set(vm.disks.map((disk) => disk.number))
  for (let number = 0; number < disksMax; number++) if (!taken.has(number)) return number
  throw new ControlPlaneError('invalid', `VM ${vm.row.name} has ${disksMax} disks already, the most that a VM can have`)
}
