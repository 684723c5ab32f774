import { type ImportVolume, plainPolicy } from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { paceOf, requireCapableHost, requireConnection, requireIdle } from './change-request.ts'
import { checkSize, freeNumber, refuseEncryptedDisk, requireMayAdd } from './disk-addition.ts'
import { findHost, findPolicy } from './lookup.ts'
import { checkThin, checkVerify, keyForDisk, namedProvider } from './policy-keys.ts'
import type { VmRecord } from './vm-store.ts'

/** Works out how a LUKS volume of somebody else's becomes a disk, and checks all of it before anything happens. */
export async function planVolumeImport(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: ImportVolume,
): Promise<{ change: VmChange; key: KeyPlan }> {
  const policy = await findPolicy(work.database, request.policy ?? vm.policy, 'policy')
  const encrypted = policy.encryption === 1
  const mode = request.mode ?? 'import'
  if (encrypted) requirePrivileges(principal, contentRules.addEncryptedDisk.privileges, vm.objectPath)
  if (encrypted) refuseEncryptedDisk(vm)
  await requireMayAdd(work, principal, vm)
  if (mode === 'adopt' && !encrypted) {
    const message = `policy: a volume that is adopted stays encrypted, and «${policy.name}» does not encrypt: encrypt VM Home first, choose another policy, or import the volume`
    throw new ControlPlaneError('invalid', message, { field: 'policy' })
  }
  if (request.thin === true && (mode === 'adopt' || !encrypted)) {
    const why =
      mode === 'adopt' ? 'a volume that is adopted stays as it is' : `«${plainPolicy}» leaves disks as they come`
    throw new ControlPlaneError('invalid', `thin: ${why}`, { field: 'thin' })
  }
  checkSize(request.contentBytes, 'contentBytes', ': pad it first, for instance with truncate -s %512 FILE')
  requireIdle(vm)
  checkVerify([policy], request)
  if (encrypted && mode === 'import') checkThin([policy], request.thin)
  const key = encrypted
    ? await keyForDisk(work.database, vm, namedProvider([policy], undefined))
    : { kind: 'none' as const }
  const host = await findHost(work.database, vm.row.host_id)
  if (encrypted) await requireCapableHost(work, host, vm.row.name, key, principal)
  else requireConnection(work, host)
  const change: VmChange = {
    kind: 'import-volume',
    mode,
    diskId: v7(),
    number: freeNumber(vm),
    format: request.format,
    contentBytes: request.contentBytes,
    policy: policy.name,
    encrypted,
    thin: encrypted && mode === 'import' && (request.thin ?? policy.thin === 1),
    pace: paceOf(request),
  }
  return { change, key }
}
