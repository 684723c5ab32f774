import type { HostRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { noSuchObject, objectPath } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { hostNamed, isLeaving, isOutOfUse } from '../hosts/host-lookup.ts'
import { cryptoOff, isCryptoSafe } from '../keys/host-keys.ts'
import { requireConnection, requireIdle, requireNotStopped } from '../vms/change-request.ts'
import { authorityOf, keysOf, type VmRecord } from '../vms/vm-store.ts'
import { requirePowerFor } from './power-rules.ts'
import { requireNoStray } from './stray-machines.ts'

/** The host of that name, which may be given the VM by `principal`. Throws `not-found`, `no-privilege`, and why it does not go. */
export async function migrationTarget(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  name: string,
): Promise<HostRow> {
  const { database } = work
  const path = await objectPath(database, { kind: 'host', name }, 'host')
  if (!principal.can('System.Read', path)) throw noSuchObject({ kind: 'host', name }, 'host')
  requirePrivileges(principal, contentRules.migrateTo.privileges, path)
  const host = await hostNamed(database, name)
  const [key] = keysOf(authorityOf(vm))
  if (key !== undefined) requirePrivileges(principal, contentRules.migrateEncrypted.privileges, vm.objectPath)
  requireIdle(vm)
  if (host.id === vm.row.host_id) {
    throw new ControlPlaneError('invalid', `host: VM ${vm.row.name} is on host ${host.name} already`, {
      field: 'host',
    })
  }
  if (host.cluster_id !== vm.clusterId) {
    throw new ControlPlaneError(
      'invalid',
      `host: VM ${vm.row.name} is in cluster ${vm.clusterName}, whose datastore host ${host.name} does not see: name a host of that cluster`,
      { field: 'host' },
    )
  }
  await requireMigratable(database, vm, principal)
  if (isLeaving(host)) throw cryptoOff(host)
  requireConnection(work, host)
  if (key !== undefined && (isOutOfUse(host) || !isCryptoSafe(host))) {
    throw new ControlPlaneError(
      'host-incapable',
      `host: host ${host.name} is not crypto-safe, and VM ${vm.row.name} is encrypted: «host crypto enable ${host.name}» first`,
      { field: 'host' },
    )
  }
  return host
}

/** Throws where the VM is not off, runs where it is not to, or is stopped, since its key was revoked. */
export async function requireMigratable(database: Database, vm: VmRecord, principal: Principal): Promise<void> {
  requirePowerFor(vm, 'migrate')
  await requireNoStray(database, vm, principal)
  await requireNotStopped(database, vm)
}
