import type { ApplyPlan, ComplianceState, VmCompliance } from '@cryptvisor/control-plane-api'
import type { Paint } from './paint.ts'
import { line } from './printable.ts'
import { formatTime } from './quantity.ts'
import { type Cell, table } from './table.ts'

/** Whether VMs comply, one a line for each reason. */
export function complianceTable(vms: readonly VmCompliance[], paint: Paint): string {
  return table(
    ['VM', 'HOST', 'COMPLIANCE', 'SINCE', 'REASON'],
    vms.flatMap((vm) => {
      const [first, ...others] = vm.reasons
      return [
        [vm.vm, vm.host, stateCell(vm.state, paint), vm.since === null ? null : formatTime(vm.since), first?.text],
        ...others.map(({ text }) => [' ', ' ', ' ', ' ', text]),
      ]
    }),
  )
}

/** What bringing VMs into line takes. */
export function planTable(plans: readonly ApplyPlan[]): string {
  if (plans.length === 0) return line('everything is in line already: there is nothing to do')
  return table(
    ['VM', '', 'WHAT'],
    plans.flatMap(({ vm, steps, blocked }) => [
      ...steps.map(({ text }) => [vm, 'will', text]),
      ...blocked.map(({ text }) => [vm, 'cannot', text]),
    ]),
  )
}

/** Coloured by how bad it is. */
export function stateCell(state: ComplianceState, paint: Paint): Cell {
  return paint(state === 'compliant' ? 'green' : state === 'unknown' ? 'yellow' : 'red', state)
}
