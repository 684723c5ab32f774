import type { DetachDisk } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { layerNames } from '../disk/layer-file.ts'
import { nextVm, type Plan, refused } from './plan.ts'

type Request = Static<typeof DetachDisk>

/**
 * What detaching a disk changes: `vm.json` does not name it any more. It takes no key, so that a VM whose disk cannot be opened goes
 * on without it. With `remove` its layer goes after the commit. Throws AgentError `refused`.
 */
export function detachDiskPlan(operationId: string, { vm, diskId, remove }: Request): Plan {
  const disk = vm.disks.find((candidate) => candidate.diskId === diskId)
  if (disk === undefined) throw refused(`diskId: the VM has no disk ${diskId}`)
  return {
    operationId,
    vm,
    next: nextVm(vm, { disks: vm.disks.filter((other) => other !== disk) }),
    measured: [],
    keys: [],
    rewritesHome: false,
    makes: [],
    removes: remove && disk.device === undefined ? layerNames(disk) : [],
    direction: null,
  }
}
