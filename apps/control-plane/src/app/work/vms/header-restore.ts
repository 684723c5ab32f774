import type { RestoreHeader } from '@cryptvisor/control-plane-api'
import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { requireCapableHost, requireIdle } from './change-request.ts'
import { findHost } from './lookup.ts'
import { authorityOf, type VmRecord } from './vm-store.ts'

/** The disk of that number, whose header is meant. Throws `not-found`, `invalid` for a plain one, which has none. */
export function encryptedDisk(vm: VmRecord, number: number): DiskAuthority {
  const disk = authorityOf(vm).disks.find((candidate) => candidate.number === number)
  if (disk === undefined) {
    throw new ControlPlaneError('not-found', `VM ${vm.row.name} has no disk ${number}`, { field: 'number' })
  }
  if (disk.encryption !== null) return disk
  const text = `number: disk ${number} of VM ${vm.row.name} is plain: it has no LUKS header`
  throw new ControlPlaneError('invalid', text, { field: 'number' })
}

/** Works out how a disk's header is restored, and checks all of it before anything happens. The VM may be locked. */
export async function planHeaderRestore(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  number: number,
  { contentBytes }: RestoreHeader,
): Promise<{ change: VmChange; key: KeyPlan }> {
  const { diskId, encryption } = encryptedDisk(vm, number)
  requireIdle(vm)
  const kek = encryption?.keys.at(-1)
  const key: KeyPlan = kek === undefined ? { kind: 'none' } : { kind: 'existing', key: kek }
  await requireCapableHost(work, await findHost(work.database, vm.row.host_id), vm.row.name, key, principal)
  return { change: { kind: 'restore-header', diskId, number, contentBytes }, key }
}
