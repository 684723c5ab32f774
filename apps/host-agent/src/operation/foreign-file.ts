import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { type OpenForeignVolume, openForeign, ownCipher } from '@cryptvisor/luks'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { readAt } from '../data-path/file-bytes.ts'
import { openImageFile } from '../data-path/image-file.ts'
import { attempt, checkQcow2, type Image, type LuksImage, type Place } from '../data-path/index.ts'
import { imageHeadSizeBytes, inspectHead } from '../data-path/inspect-image.ts'
import { readHead } from '../data-path/read-head.ts'
import type { BulkLimit } from './bulk-limit.ts'
import type { Work } from './work.ts'

/** A foreign volume in a file of ours, opened and looked at. Disposing of it wipes its key. */
export interface ForeignFile extends Disposable {
  readonly volume: OpenForeignVolume
  /** Its payload. */
  readonly image: LuksImage
  /** Bytes of the disk in it. */
  readonly virtualBytes: number
  readonly warnings: readonly string[]
}

/**
 * Opens a LUKS volume that somebody else made, when it is its turn, and looks at what its payload holds in the format that the
 * caller named. Throws LuksError (`wrong-passphrase` among others), DataPathError, or AgentError `bad-image`.
 */
export async function openForeignFile(
  place: Place,
  passphrase: Secret,
  format: DiskAuthority['format'],
  { signal, unlocking }: Pick<Work, 'signal' | 'unlocking'>,
): Promise<ForeignFile> {
  await using file = await openImageFile(place, 'read')
  const { sizeBytes } = await attempt(`cannot look at ${place.path}`, () => file.stat())
  const readBytes = async (offsetBytes: number, count: number) => {
    const bytes = new Uint8Array(count)
    const found = await attempt(`cannot read ${place.path}`, () => readAt(file, bytes, offsetBytes))
    return bytes.subarray(0, found)
  }
  const volume = await unlock(() => openForeign(readBytes, sizeBytes, passphrase), signal, unlocking)
  const { volumeKey } = volume
  try {
    const warnings = [...volume.warnings, ...checkEnd(volume, sizeBytes)]
    const image = imageOf(place, volume)
    const virtualBytes = await virtualBytesOfPayload(image, format)
    if (format === 'qcow2') await checkQcow2(image, signal)
    return { volume, image, virtualBytes, warnings, [Symbol.dispose]: () => volumeKey[Symbol.dispose]() }
  } catch (error) {
    volumeKey[Symbol.dispose]()
    throw error
  }
}

/** Waits for a turn to open a volume; what has been begun is not stopped by the signal. */
async function unlock<Volume>(open: () => Promise<Volume>, signal: AbortSignal, unlocking: BulkLimit): Promise<Volume> {
  using _turn = await unlocking.enter(signal)
  return await open()
}

/** Bytes of the disk in an image whose format is known. Throws AgentError `bad-image`, DataPathError. */
export async function virtualBytesOfPayload(image: Image, format: DiskAuthority['format']): Promise<number> {
  const { magic, qcow2 } = inspectHead(await readHead(image, imageHeadSizeBytes), format)
  if (qcow2 !== null) return qcow2.virtualSizeBytes
  if (magic !== null) {
    throw new AgentError(
      'bad-image',
      `the volume holds a ${magic} image: import it as such, or convert it to raw first`,
    )
  }
  return image.sizeBytes
}

/** A volume must hold something, to its last data unit; what comes after a payload of fixed size is said. */
function checkEnd({ payloadOffsetBytes, payloadSizeBytes, unitSizeBytes }: OpenForeignVolume, sizeBytes: number) {
  if (payloadSizeBytes === 0) throw new AgentError('bad-image', 'the volume has no payload: it ends with its header')
  const restBytes = sizeBytes - payloadOffsetBytes - payloadSizeBytes
  if (restBytes === 0) return []
  if (restBytes < unitSizeBytes) {
    throw new AgentError(
      'bad-image',
      `the volume ends with ${restBytes} bytes that are no whole data unit of ${unitSizeBytes}: was it cut off?`,
    )
  }
  return [`${restBytes} bytes lie after the payload of its volume and were left out`]
}

function imageOf(place: Place, volume: OpenForeignVolume): LuksImage {
  const { cipher, ivTweak, unitSizeBytes, payloadOffsetBytes, payloadSizeBytes: sizeBytes, volumeKey } = volume
  const isOwn = cipher === ownCipher && ivTweak === 0
  return {
    kind: 'luks',
    place,
    payloadOffsetBytes,
    sizeBytes,
    volumeKey,
    unitSizeBytes,
    ...(isOwn ? {} : { foreign: { cipher, ivTweak } }),
  }
}
