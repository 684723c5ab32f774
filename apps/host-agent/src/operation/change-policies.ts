import type { ChangePolicies } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { chosenDisks } from './chosen-disks.ts'
import { nextVm, type Plan } from './plan.ts'

type Request = Static<typeof ChangePolicies>

/** What giving parts other policies changes: names in `vm.json`, and nothing else. Throws AgentError `refused`. */
export function changePoliciesPlan(operationId: string, { vm, home, disks }: Request): Plan {
  const policies = new Map(
    chosenDisks(vm, disks, home !== null).map(({ disk, choice }) => [disk.diskId, choice.policy]),
  )
  return {
    operationId,
    vm,
    next: nextVm(vm, {
      ...(home === null ? {} : { policy: home.policy }),
      disks: vm.disks.map((disk) => ({ ...disk, policy: policies.get(disk.diskId) ?? disk.policy })),
    }),
    measured: [],
    keys: [],
    rewritesHome: false,
    makes: [],
    removes: [],
    direction: null,
  }
}
