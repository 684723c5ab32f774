import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ImageSource, Qcow2Error, Qcow2Image } from '@cryptvisor/qcow2'
import type { StorageFile } from '@cryptvisor/storage'
import { DataPathError, dataPathErrorOf } from './data-path-error.ts'
import { openImageFile } from './image-file.ts'
import type { Place } from './place.ts'
import { dataPathErrorOfQcow2 } from './qcow2.ts'

/** How many stretches of an image are looked at before others get their turn. */
const extentsAtOnce = 1000

/**
 * Reads all tables of a qcow2 file, those of its snapshots too: every cluster that they name lies inside the file. Refcounts
 * and data are not looked at. Rejects with a DataPathError `bad-image` that names what is wrong, `aborted`, and what
 * `inspectQcow2` throws.
 */
export async function checkQcow2(place: Place, signal: AbortSignal): Promise<void> {
  await using file = await openImageFile(place, 'read')
  const source = sourceOf(file, (await file.stat()).sizeBytes)
  try {
    const image = new Qcow2Image(source)
    const disks = [image.disk, ...image.snapshots().map((snapshot) => image.diskAt(snapshot))]
    let count = 0
    for (const disk of disks) {
      for (const _ of disk.extents()) {
        if (++count % extentsAtOnce !== 0) continue
        await nextTurn()
        if (signal.aborted) throw new DataPathError('aborted', `stopped while ${place.path} was looked at`)
      }
    }
  } catch (error) {
    throw error instanceof Qcow2Error ? dataPathErrorOfQcow2(error) : error
  }
}

/** An open file as the source of an image. */
function sourceOf(file: StorageFile, sizeBytes: number): ImageSource {
  return {
    sizeBytes,
    readAt: (offsetBytes, target) => {
      for (let filled = 0; filled < target.length; ) {
        const count = readAt(file, target.subarray(filled), offsetBytes + filled)
        if (count === 0) throw new DataPathError('truncated', `${file.path} ends at ${offsetBytes + filled}`)
        filled += count
      }
    },
  }
}

function readAt(file: StorageFile, target: Uint8Array, position: number): number {
  try {
    return file.readSync(target, position)
  } catch (error) {
    throw dataPathErrorOf(error, `cannot read ${file.path} at ${position}`)
  }
}
