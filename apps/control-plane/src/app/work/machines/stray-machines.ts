import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { ObjectPath } from '../../inventory/inventory-object.ts'
import { pathOfId } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { requireConnection } from '../vms/change-request.ts'
import type { VmRecord } from '../vms/vm-store.ts'
import { powerRefusal } from './ask-host.ts'

/**
 * Throws `wrong-power-state` while a host runs the VM that is not to run it: a second one would write the same disks. It is named to
 * whoever may see it.
 */
export async function requireNoStray(
  database: Database,
  { row }: Pick<VmRecord, 'row'>,
  principal: Principal,
): Promise<void> {
  const stray = await database
    .selectFrom('stray_machine')
    .innerJoin('host', 'host.id', 'stray_machine.host_id')
    .select(['host.id', 'host.name'])
    .where('stray_machine.vm_id', '=', row.id)
    .executeTakeFirst()
  if (stray === undefined) return
  const path = await pathOfId(database, { kind: 'host', id: stray.id })
  const isSeen = path !== null && principal.can('System.Read', path)
  const where = isSeen ? `host ${stray.name}` : 'another host'
  const cure = isSeen ? `«host stop-machine ${stray.name} ${row.name}»` : 'ask whoever looks after hosts'
  throw new ControlPlaneError(
    'wrong-power-state',
    `VM ${row.name} runs on ${where}, which is not to run it; two that write the same disks destroy them. That has to end first: ${cure}`,
  )
}

/**
 * Ends a VM on a host that is not to run it, as pulling the plug does. `vm`: its ID, or its name where `principal` may see it.
 * Throws `not-found`, `host-disconnected`.
 */
export async function stopStray(work: WorkContext, host: HostRow, vm: string, principal: Principal): Promise<void> {
  const strays = await work.database
    .selectFrom('stray_machine')
    .leftJoin('vm', 'vm.id', 'stray_machine.vm_id')
    .select(['stray_machine.vm_id', 'stray_machine.lease', 'vm.name'])
    .where('stray_machine.host_id', '=', host.id)
    .execute()
  const path = await pathOfName(work.database, vm)
  const seenId = path !== null && principal.can('System.Read', path) ? path[0].id : null
  const stray = strays.find(({ vm_id: id }) => id === vm || id === seenId)
  if (stray === undefined) {
    throw new ControlPlaneError(
      'not-found',
      `vm: host ${host.name} runs no VM ${vm} that is not its to run («host show ${host.name}» lists those); for others there is «vm power-off»`,
      { field: 'vm' },
    )
  }
  const { client } = requireConnection(work, host)
  const name = stray.name ?? stray.vm_id
  const text = `${principal.name} ends VM ${name} on host ${host.name}, which is not to run it`
  await work.events.record({
    ...{ type: 'host.stray-machine-stopped', host: host.name, vm: stray.name, text, user: principal.name },
  })
  try {
    await client.changePower(stray.vm_id, { action: 'power-off', lease: stray.lease })
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    if (error.status !== 404) throw powerRefusal(host.name, error)
  }
}

/** The VM of that name with what it lies in; `null`: there is none. */
async function pathOfName(database: Database, name: string): Promise<ObjectPath | null> {
  const row = await database.selectFrom('vm').select('id').where('name', '=', name).executeTakeFirst()
  return row === undefined ? null : pathOfId(database, { kind: 'vm', id: row.id })
}
