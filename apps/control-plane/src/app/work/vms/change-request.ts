import type { HostRow } from '../../../database/schema.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pathOfId } from '../../inventory/object-paths.ts'
import type { HostConnection, Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { isOutOfUse } from '../hosts/host-lookup.ts'
import { sendKeyError } from '../hosts/send-key-error.ts'
import { cryptoOff, isCryptoSafe } from '../keys/host-keys.ts'
import { stopOf, stopText } from '../policies/revocation-rows.ts'
import { type KeyPlan, type Pace, plannedKey } from '../tasks/task-context.ts'
import type { VmRecord } from './vm-store.ts'

/** How a request wants data to be moved. */
export function paceOf({ verify, bytesPerSecondMax }: Pace): Pace {
  return {
    ...(verify === undefined ? {} : { verify }),
    ...(bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax }),
  }
}

/**
 * Throws `invalid` where a disk on a block device is not the only one whose data is to be rewritten: that happens in place,
 * and so could not be undone because of another disk.
 */
export function requireDeviceAlone(
  disks: readonly { readonly number: number; readonly device: string | null }[],
): void {
  const onDevice = disks.find(({ device }) => device !== null)
  if (onDevice === undefined || disks.length === 1) return
  const others = disks.filter((disk) => disk !== onDevice).map(({ number }) => number)
  throw new ControlPlaneError(
    'invalid',
    `disks: disk ${onDevice.number} lies on a block device and is rewritten in place, so it goes by itself: name it alone (--disk ${onDevice.number}), and the others (${others.join(', ')}) in a request of their own`,
    { field: 'disks' },
  )
}

/** Throws `vm-busy` while a task has the VM, or it is not made yet. */
export function requireIdle(vm: VmRecord): void {
  if (vm.row.task_id === null) return
  throw new ControlPlaneError(
    'vm-busy',
    `VM ${vm.row.name} is busy: task ${vm.row.task_id} works on it. Wait for its end («task watch»), or cancel it`,
  )
}

/** Throws `vm-locked` while the VM is stopped, since its key was revoked: for whatever would give its hosts that key. */
export async function requireNotStopped(database: Database, vm: VmRecord): Promise<void> {
  const stop = await stopOf(database, vm.row.id)
  if (stop === null) return
  throw new ControlPlaneError('vm-locked', `VM ${vm.row.name} is stopped: ${stopText(stop)}`)
}

/** Whether somebody may make a host crypto-safe. */
export async function mayMakeSafe(database: Database, principal: Principal, hostId: string): Promise<boolean> {
  const path = await pathOfId(database, { kind: 'host', id: hostId })
  return path !== null && contentRules.makeSafe.privileges.every((privilege) => principal.can(privilege, path))
}

/** The session of a VM's host; throws `host-disconnected`. */
export function requireConnection(work: WorkContext, host: { id: string; name: string }): HostConnection {
  const connection = work.hostConnections.get(host.id)
  if (connection !== null) return connection
  throw hostDisconnected(host.name)
}

/** What a user is told of a host that is not connected and that needs no key. */
export function hostDisconnected(name: string): ControlPlaneError {
  const message = `host ${name} is not connected: start its agent, see «host list», and try again`
  return new ControlPlaneError('host-disconnected', message)
}

/**
 * Checks, before anything happens, that a host can be given keys for one of its VMs: it is connected, takes keys, and is
 * crypto-safe or may be made so by this user. What the host lacks is an event too (`host.crypto.send-key-error`).
 */
export async function requireCapableHost(
  work: WorkContext,
  host: HostRow,
  vmName: string,
  key: KeyPlan,
  principal: Principal,
): Promise<void> {
  if (isOutOfUse(host)) throw cryptoOff(host)
  const connection = work.hostConnections.get(host.id)
  if (connection?.cryptoSupported !== true) {
    const failure = connection === null ? 'disconnected' : 'incapable'
    throw await sendKeyError(work, host.name, failure, plannedKey(key), {
      host: host.name,
      vm: vmName,
      user: principal.name,
      task: null,
    })
  }
  if (!isCryptoSafe(host) && !(await mayMakeSafe(work.database, principal, host.id))) {
    throw new ControlPlaneError(
      'no-privilege',
      `host ${host.name} is not crypto-safe yet: whoever makes it so needs the privilege Cryptographer.RegisterHost on it, which no permission of ${principal.name} gives`,
    )
  }
}
