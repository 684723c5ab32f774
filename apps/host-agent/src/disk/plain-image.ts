import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { openImageFile } from '../data-path/image-file.ts'
import { attempt, inspectImage, type Place, type PlainImage } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { layerPlace } from './layer-place.ts'

/**
 * The image of a plain disk, as large as its file is: a qcow2 may have grown since the control plane learnt its size, a raw
 * one may not. Throws DataPathError, or AgentError `datastore-mismatch`.
 */
export async function plainImageOf(folder: Folder, disk: DiskAuthority): Promise<PlainImage> {
  const place = await layerPlace(folder, disk)
  if (place.kind === 'device') return await deviceImage(place, disk)
  const { fileSizeBytes: sizeBytes } = await inspectImage(place, disk.format)
  const grown = disk.format === 'qcow2' && sizeBytes > disk.payloadBytes
  if (sizeBytes !== disk.payloadBytes && !grown) {
    throw new AgentError(
      'datastore-mismatch',
      `disk ${disk.number}, layer ${disk.layerId}: it has ${sizeBytes} bytes, the control plane knows ${disk.payloadBytes}`,
    )
  }
  return { kind: 'plain', place, sizeBytes }
}

/** A raw image at the beginning of a block device, which may hold more. */
async function deviceImage(place: Place, { number, layerId, payloadBytes }: DiskAuthority): Promise<PlainImage> {
  await using file = await openImageFile(place, 'read')
  const { sizeBytes } = await attempt(`cannot look at ${place.path}`, () => file.stat())
  if (sizeBytes >= payloadBytes) return { kind: 'plain', place, sizeBytes: payloadBytes }
  throw new AgentError(
    'datastore-mismatch',
    `disk ${number}, layer ${layerId}: its device has ${sizeBytes} bytes, the control plane knows ${payloadBytes}`,
  )
}
