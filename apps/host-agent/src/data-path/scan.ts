import { DataClusters, Qcow2Error } from '@cryptvisor/qcow2'
import { DataPathError } from './data-path-error.ts'
import type { Image } from './image.ts'
import { dataPathErrorOfQcow2 } from './qcow2.ts'
import type { ThinView } from './source.ts'
import { openSource } from './source-file.ts'
import { startJob } from './start-job.ts'
import { thinViewOf } from './thin-view.ts'
import type { DataPathOptions } from './transfer.ts'

/**
 * Reads a raw disk to find where it has data, and gives the thin qcow2 image of it: to transfer it, and to verify the
 * copy. A disk that did not change gives the same one again. Rejects with a DataPathError: `bad-image` for a disk
 * that is not whole sectors or over `thinDiskSizeMaxBytes`, and as `transfer` does.
 */
export async function scan(disk: Image, options: DataPathOptions): Promise<ThinView> {
  const { signal, lanes, pace, onProgress } = options
  const data = noData(disk.sizeBytes)
  if (signal.aborted) throw new DataPathError('aborted', `stopped before ${disk.place.path} was read`)
  await using file = await openSource(disk, options.direct)
  await startJob('scan', file, file, { signal, lanes, pace, onProgress, data })
  await file.checkUnchanged()
  return thinViewOf(disk, data)
}

/**
 * Reads the disk of a thin image once more, since a comparison of the image reads only where data was found. Rejects with a
 * DataPathError: `mismatch` when that is not where data is, and as `transfer` does.
 */
export async function checkScan({ disk, data }: ThinView, options: DataPathOptions): Promise<void> {
  if (data === null) return
  const again = (await scan(disk, options)).data
  if (again !== null && Buffer.from(again.shared.bits).equals(Buffer.from(data.shared.bits))) return
  throw new DataPathError('mismatch', `${disk.place.path} has data elsewhere than was found at first`)
}

function noData(sizeBytes: number): DataClusters {
  try {
    return DataClusters.none(sizeBytes)
  } catch (error) {
    throw error instanceof Qcow2Error ? dataPathErrorOfQcow2(error) : error
  }
}
