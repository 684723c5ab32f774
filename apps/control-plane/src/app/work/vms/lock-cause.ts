import type { LockCause } from '@cryptvisor/control-plane-api'
import type { LockState } from '@cryptvisor/host-agent-api'
import type { VmRow } from '../../../database/schema.ts'
import type { ControlPlaneError, ControlPlaneErrorCode } from '../../control-plane-error.ts'

/** Why a VM is locked: what its host says, and what kept a missing key from it, where that is known. */
export function causeOf(lock: LockState, why: ControlPlaneError | null): LockCause | null {
  if (lock.state === 'unlocked') return null
  switch (lock.reason?.code) {
    case undefined:
      return 'unclear'
    case 'key-not-held':
      return causeOfMissingKey(why)
    case 'record-refused':
    case 'file-damaged':
      return 'header-damaged'
    case 'file-missing':
      return 'files-missing'
  }
}

/** What kept a key from a host, by the error that told of it. */
const causesOfMissingKey: ReadonlyMap<ControlPlaneErrorCode, LockCause> = new Map([
  ['key-missing', 'key-missing-in-kms'],
  ['kms-unreachable', 'kms-unreachable'],
  ['kms-refused', 'kms-refused'],
  ['host-incapable', 'host-incapable'],
])

/** Why a host does not hold a key. */
export function causeOfMissingKey(why: ControlPlaneError | null): LockCause {
  return (why === null ? undefined : causesOfMissingKey.get(why.code)) ?? 'key-missing-on-host'
}

/** The cause that is on record of a VM; `null`: it is not locked. */
export function recordedCause(row: Pick<VmRow, 'lock_state' | 'lock_cause'>): LockCause | null {
  if (row.lock_state === 'unlocked') return null
  // Written from a `LockCause`.
  if (row.lock_cause !== null) return row.lock_cause as LockCause
  return row.lock_state === 'unknown' ? 'host-away' : 'unclear'
}

/** The event that tells of a VM which is locked for this cause. */
export function lockedEvent(cause: LockCause | null): LockedEventType {
  switch (cause) {
    case 'key-missing-in-kms':
      return 'vm.crypto.locked-key-missing'
    case 'kms-unreachable':
    case 'kms-refused':
      return 'vm.crypto.locked-kms-unreachable'
    case 'key-revoked':
      return 'vm.crypto.locked-key-revoked'
    case 'header-damaged':
    case 'files-missing':
      return 'vm.crypto.locked-damaged'
    case 'key-missing-on-host':
    case 'host-incapable':
    case 'host-away':
    case 'unclear':
    case null:
      return 'vm.crypto.locked'
  }
}

type LockedEventType =
  | 'vm.crypto.locked'
  | 'vm.crypto.locked-key-missing'
  | 'vm.crypto.locked-kms-unreachable'
  | 'vm.crypto.locked-key-revoked'
  | 'vm.crypto.locked-damaged'
