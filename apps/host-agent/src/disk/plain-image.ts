import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { inspectImage, type PlainImage } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { plainName } from './layer-file.ts'

/**
 * The image of a plain disk, as large as its file is: a qcow2 may have grown since the control plane learnt its size, a raw
 * one may not. Throws DataPathError, or AgentError `datastore-mismatch`.
 */
export async function plainImageOf(folder: Folder, disk: DiskAuthority): Promise<PlainImage> {
  const place = folder.place(plainName(disk.layerId, disk.format))
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
