import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { carryOut } from './carry-out.ts'
import { type Change, planOf } from './changes.ts'
import { createVmSite } from './create-site.ts'
import type { OperationHost, Task } from './host.ts'
import { awaitIncoming } from './incoming.ts'
import { KeyLoans } from './key-loans.ts'
import { limitPace } from './limit-pace.ts'
import { refuseUnfinished } from './refuse-unfinished.ts'
import { agreedDocument, requireSiteFor } from './vm-site.ts'

/** Runs a change from its first file to its end, as `carryOut` says. */
export async function runChange(
  host: OperationHost,
  task: Task,
  operationId: string,
  change: Change,
): Promise<VmAuthority> {
  const plan = planOf(operationId, change)
  limitPace(task, change)
  using keys = new KeyLoans(host.keys, plan.keys, host.cryptoSupported)
  const creates = plan.vm.generation === 0
  await using site = creates
    ? await createVmSite(host.datastores, plan.vm, operationId)
    : await requireSiteFor(host, change, plan.vm)
  const previous = creates ? null : await agreedDocument(site.folder, plan.vm)
  if (!creates) await refuseUnfinished(site.folder)
  const content = await awaitIncoming(task, change)
  return await carryOut(host, task, { change, plan, site, keys, previous, content, resumed: null })
}
