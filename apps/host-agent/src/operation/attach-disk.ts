import type { AttachDisk } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { layerNames } from '../disk/layer-file.ts'
import { checkDevicePlan } from './device-disk.ts'
import { checkHomeBefore, checkNewDisk, nextVm, type Plan, refused } from './plan.ts'
import { takeLayer } from './taken-layer.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof AttachDisk>

/** What making a layer that is there a disk changes. Throws AgentError `refused`. */
export function attachDiskPlan(operationId: string, { vm, disk, folder }: Request): Plan {
  checkNewDisk(vm, disk)
  checkHomeBefore(disk.encryption?.keys.at(0) ?? null, vm.encryption !== null)
  if (vm.disks.some(({ layerId }) => layerId === disk.layerId)) {
    throw refused(`disk: layer ${disk.layerId} is a disk of the VM already`)
  }
  if (disk.device !== undefined) checkDevicePlan(disk, vm)
  const moves = folder !== null && folder !== vm.folder && disk.device === undefined
  return {
    operationId,
    vm,
    next: nextVm(vm, { disks: [...vm.disks, disk] }),
    measured: [],
    keys: disk.encryption === null ? [] : [{ part: `disk ${disk.number}`, anyOf: disk.encryption.keys }],
    rewritesHome: false,
    makes: [],
    removes: [],
    ...(moves ? { takes: { folder, names: layerNames(disk) } } : {}),
    direction: null,
  }
}

/** Brings the layer into the VM's folder, where it is not there already. That it opens is looked at before the commit. */
export async function makeAttached(work: Work): Promise<Made> {
  const { plan, progress, datastores, folder, signal } = work
  progress.begin('attaching the disk')
  await using datastore = await datastores.open(plan.vm)
  await takeLayer(datastore, folder, plan)
  signal.throwIfAborted()
  return { next: plan.next, journal: null }
}
