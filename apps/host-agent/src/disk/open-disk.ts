import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import type { Authority, DiskRecordHeader, NamedKek } from '@cryptvisor/key-record'
import { payloadOffsetWrittenBytes } from '@cryptvisor/luks'
import { AgentError } from '../agent-error.ts'
import { type OpenLayer, openLayer } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { kidOf } from '../key-cache.ts'
import { keyName } from './layer-file.ts'
import { layerPlace } from './layer-place.ts'

/** What the key record of an encrypted disk has to be. */
export function recordAuthorityOf({ layerId, encryption }: DiskAuthority): Authority {
  if (encryption?.luksUuid == null) throw new AgentError('internal', `layer ${layerId} is not an encrypted one`)
  const { keys, generation, luksUuid } = encryption
  return { kind: 'disk', layerId, luksUuid, kids: keys.map(kidOf), generationMin: generation }
}

/** What the key record of a layer says that we make ourselves for `disk`. */
export function newRecordHeader({ layerId, format, payloadBytes, encryption }: DiskAuthority): DiskRecordHeader {
  if (encryption?.luksUuid == null) throw new AgentError('internal', `layer ${layerId} is not an encrypted one`)
  return {
    kind: 'disk',
    layerId,
    luksUuid: encryption.luksUuid,
    generation: encryption.generation,
    cipher: 'aes-xts-plain64',
    payloadOffsetBytes: payloadOffsetWrittenBytes,
    payloadFormat: format,
    payloadSizeBytes: payloadBytes,
  }
}

/**
 * Opens an encrypted disk's layer with the KEKs at hand, as far as all that its header and key record say agrees with
 * what the control plane knows; only a qcow2 may have grown. Throws KeyRecordError, LuksError, DataPathError, or
 * AgentError `datastore-mismatch`, which names the field. The caller disposes of the result.
 */
export async function openDisk(folder: Folder, disk: DiskAuthority, keks: readonly NamedKek[]): Promise<OpenLayer> {
  const { layerId } = disk
  const [place, keyPlace] = [await layerPlace(folder, disk), folder.place(keyName(layerId))]
  const layer = await openLayer(place, keks, recordAuthorityOf(disk), false, keyPlace)
  try {
    const { payloadFormat } = layer.record
    const { sizeBytes } = layer.image
    if (payloadFormat !== disk.format) throw mismatch(disk, 'payload format', payloadFormat, disk.format)
    if (sizeBytes !== disk.payloadBytes && !(disk.format === 'qcow2' && sizeBytes > disk.payloadBytes)) {
      throw mismatch(disk, 'payload size', sizeBytes, disk.payloadBytes)
    }
    return layer
  } catch (error) {
    layer[Symbol.dispose]()
    throw error
  }
}

function mismatch({ number, layerId }: DiskAuthority, what: string, found: string | number, known: string | number) {
  return new AgentError(
    'datastore-mismatch',
    `disk ${number}, layer ${layerId}: its ${what} is ${found}, the control plane knows ${known}`,
  )
}
