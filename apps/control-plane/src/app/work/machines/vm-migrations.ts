import type { MigrateVm } from '@cryptvisor/control-plane-api'
import type { HostRow, TaskRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { noSuchObject, objectPath } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { hostNamed, isOutOfUse } from '../hosts/host-lookup.ts'
import { cryptoOff, isCryptoSafe } from '../keys/host-keys.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import type { Sagas } from '../sagas/sagas.ts'
import { requireConnection, requireIdle, requireNotStopped } from '../vms/change-request.ts'
import { findVm } from '../vms/lookup.ts'
import { authorityOf, keysOf, type VmRecord } from '../vms/vm-store.ts'
import { beginOnVm } from './begin-on-vm.ts'
import { type MigrationState, migrationSaga } from './migration-saga.ts'
import { requirePowerFor } from './power-rules.ts'
import type { PowerTools } from './power-tools.ts'
import { requireNoStray } from './stray-machines.ts'

/** Gives VMs that are off to other hosts of their cluster. */
export class VmMigrations {
  readonly #work: WorkContext
  readonly definition: SagaDefinition<MigrationState>

  constructor(tools: PowerTools) {
    this.#work = tools.work
    this.definition = migrationSaga(tools)
  }

  async migrate(sagas: Sagas, principal: Principal, nameOrId: string, { host: name }: MigrateVm): Promise<TaskRow> {
    const { database } = this.#work
    const vm = await findVm(database, nameOrId)
    const path = await objectPath(database, { kind: 'host', name }, 'host')
    if (!principal.can('System.Read', path)) throw noSuchObject({ kind: 'host', name }, 'host')
    requirePrivileges(principal, contentRules.migrateTo.privileges, path)
    const isEncrypted = keysOf(authorityOf(vm)).length > 0
    if (isEncrypted) requirePrivileges(principal, contentRules.migrateEncrypted.privileges, vm.objectPath)
    requireIdle(vm)
    const host = await hostNamed(database, name)
    requireOther(vm, host)
    await requireMovable(database, vm, principal)
    if (host.decommissioned_at !== null || host.leaving_task_id !== null) throw cryptoOff(host)
    requireConnection(this.#work, host)
    if (isEncrypted && (isOutOfUse(host) || !isCryptoSafe(host))) {
      throw new ControlPlaneError(
        'host-incapable',
        `host: host ${host.name} is not crypto-safe, and VM ${vm.row.name} is encrypted: «host crypto enable ${host.name}» first`,
        { field: 'host' },
      )
    }
    const state: MigrationState = {
      ...{ vmId: vm.row.id, vmName: vm.row.name, fromId: vm.row.host_id, from: vm.hostName },
      ...{ clusterId: vm.clusterId, hostId: host.id, hostName: host.name },
    }
    const check = (transaction: Database, now: VmRecord) => requireMovable(transaction, now, principal)
    return beginOnVm(sagas, { definition: this.definition, vm, state, principal, check })
  }
}

function requireOther(vm: VmRecord, host: HostRow): void {
  if (host.id === vm.row.host_id) {
    throw new ControlPlaneError('invalid', `host: VM ${vm.row.name} is on host ${host.name} already`, {
      field: 'host',
    })
  }
  if (host.cluster_id === vm.clusterId) return
  throw new ControlPlaneError(
    'invalid',
    `host: VM ${vm.row.name} is in cluster ${vm.clusterName}, whose datastore host ${host.name} does not see: name a host of that cluster`,
    { field: 'host' },
  )
}

async function requireMovable(database: Database, vm: VmRecord, principal: Principal): Promise<void> {
  requirePowerFor(vm, 'migrate')
  await requireNoStray(database, vm, principal)
  await requireNotStopped(database, vm)
}
