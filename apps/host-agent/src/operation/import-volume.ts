import type { DiskAuthority, ImportVolume } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { keyName, layerName, luksName, newLayerEncryption } from '../disk/layer-file.ts'
import { adoptVolume } from './adopt-volume.ts'
import { removeAll } from './clean.ts'
import { compareImage, copyImage } from './copy-image.ts'
import { openForeignFile } from './foreign-file.ts'
import type { Incoming } from './incoming.ts'
import { newLayerId } from './layer-id.ts'
import { newLayer } from './new-layer.ts'
import { checkHomeBefore, checkNewDisk, nextVm, type Plan, refused, withSizes } from './plan.ts'
import { planCopies } from './plan-copies.ts'
import { receiveFile } from './receive-file.ts'
import { becomesThin, thinSourceOf } from './thin-disk.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof ImportVolume>

/** What importing or adopting a volume changes. Its sizes, and an adopted one's UUID, are told by the volume. Throws AgentError `refused`. */
export function importVolumePlan(operationId: string, request: Request): Plan {
  const { vm, key, mode } = request
  checkNewDisk(vm, request)
  checkHomeBefore(key, vm.encryption !== null)
  if (mode === 'adopt' && key === null) throw refused('key: a volume that is adopted stays encrypted: name its KEK')
  if (request.thin === true && (mode === 'adopt' || key === null)) {
    throw refused('thin: a volume that is adopted stays as it is, and a plain disk as its format says')
  }
  const disk = newDisk(operationId, request)
  const { layerId } = disk
  return {
    operationId,
    vm,
    next: nextVm(vm, { disks: [...vm.disks, disk] }),
    measured: [layerId],
    keys: key === null ? [] : [{ part: `disk ${disk.number}`, anyOf: [key] }],
    rewritesHome: false,
    makes: mode === 'adopt' ? [luksName(layerId), keyName(layerId)] : [layerName(disk), volumeName(layerId)],
    removes: [],
    direction: null,
  }
}

/** Makes the disk out of the volume that comes: a new layer with its payload, or the volume itself with our key slot alone. */
export async function makeImportedVolume(
  work: Work,
  request: Request,
  { content, passphrase }: Incoming,
): Promise<Made> {
  const { plan } = work
  if (passphrase === null) throw new AgentError('internal', 'a volume without a passphrase')
  const disk = plan.next.disks.find(({ diskId }) => diskId === request.diskId)
  if (disk === undefined) throw new AgentError('internal', 'the plan lacks its disk')
  if (request.mode === 'adopt') {
    await receive(work, request, disk, luksName(disk.layerId), content)
    const sizes = await adoptVolume(work, disk, passphrase)
    return { next: withSizes(plan, new Map([[disk.layerId, sizes]])), journal: null }
  }
  const name = volumeName(disk.layerId)
  await receive(work, request, disk, name, content)
  const made = await importPayload(work, request, disk, passphrase)
  await removeAll(work.folder, [name])
  return made
}

/** The name of a volume's file while it is imported. */
function volumeName(layerId: string): string {
  return `${layerId}.volume`
}

function newDisk(operationId: string, request: Request): DiskAuthority {
  const { diskId, number, format, contentBytes, policy, key, thin } = request
  const layerId = newLayerId(operationId, diskId)
  return {
    diskId,
    number,
    layerId,
    format: format === 'raw' && thin === true ? 'qcow2' : format,
    payloadBytes: contentBytes,
    virtualBytes: contentBytes,
    policy,
    encryption: key === null ? null : newLayerEncryption(layerId, key),
  }
}

async function receive(
  work: Work,
  { contentBytes }: Request,
  { number }: DiskAuthority,
  name: string,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  work.progress.begin(`receiving the volume of disk ${number}`)
  work.progress.totalBytes = contentBytes
  await receiveFile(work.folder.place(name), contentBytes, content, work)
  await work.folder.sync()
}

async function importPayload(work: Work, request: Request, planned: DiskAuthority, passphrase: Secret): Promise<Made> {
  const { plan, folder, progress, signal, bulk } = work
  const { layerId, number } = planned
  progress.begin(`opening the volume of disk ${number}`)
  using volume = await openForeignFile(folder.place(volumeName(layerId)), passphrase, request.format, work)
  for (const warning of volume.warnings) work.warn(`disk ${number}: ${warning}`)
  const { image, virtualBytes } = volume
  const thin = becomesThin({ ...planned, format: request.format, virtualBytes }, request.thin)
  const source = thin ? await thinSourceOf(work, image, number) : image
  const sizes = { payloadBytes: source.sizeBytes, virtualBytes }
  const receivedBytes = progress.totalBytes
  await planCopies(work, [source.sizeBytes])
  progress.totalBytes += receivedBytes
  using _turn = await bulk.enter(signal, work.pace)
  using stack = new DisposableStack()
  const target = await newLayer(work, { ...planned, ...sizes }, request.key, stack)
  await copyImage(work, source, target, `importing disk ${number}`)
  await compareImage(work, source, target, `verifying disk ${number}`)
  return { next: withSizes(plan, new Map([[layerId, sizes]])), journal: null }
}
