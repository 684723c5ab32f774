import type { AddDisk, DiskAuthority } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { type Image, type Source, thinViewOf, zeroPlace } from '../data-path/index.ts'
import { layerName, newLayerEncryption } from '../disk/layer-file.ts'
import { compareImage, copyImage } from './copy-image.ts'
import { checkDevice, checkDevicePlan } from './device-disk.ts'
import { newLayerId } from './layer-id.ts'
import { newLayer } from './new-layer.ts'
import { checkHomeBefore, checkNewDisk, nextVm, type Plan, refused, withSizes } from './plan.ts'
import { planCopies } from './plan-copies.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof AddDisk>

const sectorSizeBytes = 512

/** What adding an empty disk, or what lies on a device, changes. Throws AgentError `refused`. */
export function addDiskPlan(operationId: string, request: Request): Plan {
  const { vm, key } = request
  checkNewDisk(vm, request)
  checkHomeBefore(key, vm.encryption !== null)
  if (request.virtualBytes % sectorSizeBytes !== 0) {
    throw refused(`virtualBytes: a disk has whole sectors of ${sectorSizeBytes} bytes`)
  }
  const disk = newDisk(operationId, request, request.virtualBytes)
  if (disk.device !== undefined) checkDevicePlan(disk, vm)
  return {
    operationId,
    vm,
    next: nextVm(vm, { disks: [...vm.disks, disk] }),
    measured: disk.format === 'qcow2' ? [disk.layerId] : [],
    keys: key === null ? [] : [{ part: `disk ${disk.number}`, anyOf: [key] }],
    rewritesHome: false,
    makes: disk.device === undefined ? [layerName(disk)] : [],
    removes: [],
    direction: null,
  }
}

/** Makes the new layer; on a device nothing but a look at it. In a file: a hole for plain raw, else an empty image that is written, or encrypted, and compared. */
export async function makeDisk(work: Work, request: Request): Promise<Made> {
  const { plan } = work
  const { virtualBytes, key, format, device } = request
  if (device !== undefined) {
    await checkDevice(work.folder, device, virtualBytes, plan.vm.disks)
    return { next: plan.next, journal: null }
  }
  if (key === null && format === 'raw') {
    await work.folder.makeHole(layerName(newDisk(plan.operationId, request, virtualBytes)), virtualBytes)
    return { next: plan.next, journal: null }
  }
  const source = emptySource(format, virtualBytes)
  const payloadBytes = source.sizeBytes
  await planCopies(work, [payloadBytes])
  const disk = newDisk(plan.operationId, request, payloadBytes)
  using stack = new DisposableStack()
  const target = await newLayer(work, disk, request.key, stack)
  await copyImage(work, source, target, `writing disk ${disk.number}`)
  await compareImage(work, source, target, `verifying disk ${disk.number}`)
  return { next: withSizes(plan, new Map([[disk.layerId, { payloadBytes, virtualBytes }]])), journal: null }
}

/** An empty image, made where it is read: zeros, or the qcow2 metadata of a disk without data. */
function emptySource(format: Request['format'], virtualBytes: number): Source {
  const disk: Image = { kind: 'plain', place: zeroPlace(virtualBytes), sizeBytes: virtualBytes }
  return format === 'raw' ? disk : thinViewOf(disk, null)
}

function newDisk(operationId: string, request: Request, payloadBytes: number): DiskAuthority {
  const { diskId, number, format, virtualBytes, policy, key, device } = request
  const layerId = newLayerId(operationId, diskId)
  const encryption = key === null ? null : newLayerEncryption(layerId, key)
  const disk = { diskId, number, layerId, format, payloadBytes, virtualBytes, policy, encryption }
  return device === undefined ? disk : { ...disk, device }
}
