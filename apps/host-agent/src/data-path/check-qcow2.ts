import { setImmediate as nextTurn } from 'node:timers/promises'
import { dataUnitSizeBytes } from '@cryptvisor/crypto'
import type { DataUnitDecryptor } from '@cryptvisor/luks'
import { type ImageSource, type Qcow2Disk, Qcow2Error, Qcow2Image } from '@cryptvisor/qcow2'
import type { StorageFile } from '@cryptvisor/storage'
import { DataPathError, dataPathErrorOf } from './data-path-error.ts'
import { type Image, offsetBytesOf, paddedSizeBytes } from './image.ts'
import { openImageFile } from './image-file.ts'
import { dataPathErrorOfQcow2 } from './qcow2.ts'
import { decryptorOf, unitSizeBytesOf } from './read-head.ts'

/** How many stretches of an image are looked at before others get their turn, */
const extentsAtOnce = 50

/** and how many clusters one has at most: a small image may name one table again and again, for a disk of any size. */
const extentClustersMax = 2048

/**
 * Reads all tables of a qcow2 image, those of its snapshots too: every cluster that they name lies inside the image. Refcounts
 * and data are not looked at. Rejects with a DataPathError `bad-image` that names what is wrong, `aborted`, and what
 * `inspectQcow2` throws.
 */
export async function checkQcow2(qcow2: Image, signal: AbortSignal): Promise<void> {
  const { place } = qcow2
  await using file = await openImageFile(place, 'read')
  using decryptor = qcow2.kind === 'luks' ? decryptorOf(qcow2) : null
  const source = sourceOf(file, qcow2, decryptor)
  try {
    const image = new Qcow2Image(source)
    await checkDisk(image, image.disk, place.path, signal)
    for (const snapshot of image.snapshots()) {
      await letOthersOn(place.path, signal)
      await checkDisk(image, image.diskAt(snapshot), place.path, signal)
    }
  } catch (error) {
    throw error instanceof Qcow2Error ? dataPathErrorOfQcow2(error) : error
  }
}

async function checkDisk({ header }: Qcow2Image, disk: Qcow2Disk, path: string, signal: AbortSignal): Promise<void> {
  let count = 0
  for (const _ of disk.extents(0, disk.sizeBytes, extentClustersMax * header.clusterSizeBytes)) {
    if (++count % extentsAtOnce === 0) await letOthersOn(path, signal)
  }
}

async function letOthersOn(path: string, signal: AbortSignal): Promise<void> {
  await nextTurn()
  if (signal.aborted) throw new DataPathError('aborted', `stopped while ${path} was looked at`)
}

/** The plaintext of an image in an open file, as the source of a qcow2. */
function sourceOf(file: StorageFile, image: Image, decryptor: DataUnitDecryptor | null): ImageSource {
  const { sizeBytes } = image
  const unitSizeBytes = image.kind === 'luks' ? unitSizeBytesOf(image) : 1
  return {
    sizeBytes,
    readAt: (offsetBytes, target) => {
      const start = offsetBytes - (offsetBytes % unitSizeBytes)
      const units = new Uint8Array(paddedSizeBytes(offsetBytes + target.length, unitSizeBytes) - start)
      readFully(file, units, offsetBytesOf(image) + start)
      decryptor?.decrypt(units, start / dataUnitSizeBytes)
      target.set(units.subarray(offsetBytes - start, offsetBytes - start + target.length))
    },
  }
}

function readFully(file: StorageFile, target: Uint8Array, position: number): void {
  for (let filled = 0; filled < target.length; ) {
    const count = readAt(file, target.subarray(filled), position + filled)
    if (count === 0) throw new DataPathError('truncated', `${file.path} ends at ${position + filled}`)
    filled += count
  }
}

function readAt(file: StorageFile, target: Uint8Array, position: number): number {
  try {
    return file.readSync(target, position)
  } catch (error) {
    throw dataPathErrorOf(error, `cannot read ${file.path} at ${position}`)
  }
}
