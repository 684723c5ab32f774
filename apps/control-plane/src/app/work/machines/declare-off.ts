import type { DeclareOff } from '@cryptvisor/control-plane-api'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pathOfId } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { requireIdle } from '../vms/change-request.ts'
import { findVm } from '../vms/lookup.ts'
import { isOn, voidLease } from './machine-store.ts'
import { wrongState } from './power-rules.ts'

/**
 * Takes the word of `principal` that a VM is off whose host cannot say so, so that another host may have it. Throws
 * `wrong-power-state` while its host can.
 */
export async function declareOff(
  work: WorkContext,
  principal: Principal,
  nameOrId: string,
  { confirm }: DeclareOff,
): Promise<void> {
  const vm = await findVm(work.database, nameOrId)
  const hostPath = await pathOfId(work.database, { kind: 'host', id: vm.row.host_id })
  if (hostPath !== null) requirePrivileges(principal, contentRules.declareOff.privileges, hostPath)
  if (confirm !== vm.row.name) {
    throw new ControlPlaneError(
      'invalid',
      `confirm: type the VM’s name, ${vm.row.name}, to say that you made sure that it is off: two hosts that run it at once destroy its disks`,
      { field: 'confirm' },
    )
  }
  await work.events.transaction(async (transaction, record) => {
    const now = await findVm(transaction, vm.row.id)
    requireIdle(now)
    const { machine } = now
    if (machine === null || !isOn(machine)) throw wrongState(now, 'there is nothing to declare')
    if (work.hostConnections.get(machine.host_id) !== null) {
      throw wrongState(now, `that host is connected and answers for it: «vm power-off ${now.row.name}»`)
    }
    await voidLease(transaction, machine, `${principal.name} declared it off`, work.clock())
    const text = `${principal.name} declared that VM ${now.row.name} is off, since host ${now.hostName} cannot say so any more. If it runs there all the same, it must not be started elsewhere: two that write the same disks destroy them`
    const named = { vm: now.row.name, host: now.hostName, user: principal.name }
    await record({ type: 'vm.declared-off', ...named, text })
  })
}
