import type { DiskAuthority, ImportDisk } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { checkQcow2, inspectImage, type Place } from '../data-path/index.ts'
import { layerName } from '../disk/layer-file.ts'
import { newLayerId } from './layer-id.ts'
import { checkNewDisk, nextVm, type Plan, withSizes } from './plan.ts'
import { receiveFile } from './receive-file.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof ImportDisk>

const sectorSizeBytes = 512

/** What importing a disk changes. Throws AgentError `refused`, `bad-image`. */
export function importDiskPlan(operationId: string, request: Request): Plan {
  const { vm, diskId, number, format, payloadBytes, policy } = request
  checkNewDisk(vm, request)
  if (format === 'raw' && payloadBytes % sectorSizeBytes !== 0) {
    throw new AgentError('bad-image', `payloadBytes: a raw image has whole sectors of ${sectorSizeBytes} bytes`)
  }
  const layerId = newLayerId(operationId, diskId)
  const disk: DiskAuthority = {
    diskId,
    number,
    layerId,
    format,
    payloadBytes,
    virtualBytes: payloadBytes,
    policy,
    encryption: null,
  }
  return {
    operationId,
    vm,
    next: nextVm(vm, { disks: [...vm.disks, disk] }),
    measured: format === 'qcow2' ? [layerId] : [],
    keys: [],
    rewritesHome: false,
    makes: [layerName(disk)],
    removes: [],
    direction: null,
  }
}

/** Writes what comes to the new layer's file, and looks at it before anything counts on it. */
export async function makeImported(work: Work, request: Request, content: AsyncIterable<Uint8Array>): Promise<Made> {
  const { plan, folder, progress } = work
  const { format, payloadBytes } = request
  const disk = plan.next.disks.find(({ diskId }) => diskId === request.diskId)
  if (disk === undefined) throw new AgentError('internal', 'the plan lacks its disk')
  progress.begin(`receiving disk ${disk.number}`)
  progress.totalBytes = payloadBytes
  const place = folder.place(layerName(disk))
  await receiveFile(place, payloadBytes, content, work)
  await folder.sync()
  progress.begin(`looking at disk ${disk.number}`)
  const virtualBytes = await virtualBytesOf(place, format, payloadBytes)
  if (format === 'qcow2') await checkQcow2({ kind: 'plain', place, sizeBytes: payloadBytes }, work.signal)
  return { next: withSizes(plan, new Map([[disk.layerId, { payloadBytes, virtualBytes }]])), journal: null }
}

/** Bytes of the disk in an image. Throws AgentError `bad-image` or DataPathError for an image that is not to be taken. */
export async function virtualBytesOf(
  place: Place,
  format: DiskAuthority['format'],
  payloadBytes: number,
): Promise<number> {
  const { magic, qcow2, fileSizeBytes } = await inspectImage(place, format)
  if (fileSizeBytes !== payloadBytes)
    throw new AgentError('bad-image', `it has ${fileSizeBytes} bytes, not ${payloadBytes}`)
  if (qcow2 !== null) return qcow2.virtualSizeBytes
  if (magic !== null) {
    throw new AgentError('bad-image', `this is a ${magic} image: import it as such, or convert it to raw first`)
  }
  return payloadBytes
}
