import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { thinDiskSizeMaxBytes } from '@cryptvisor/qcow2'
import { type Image, type Source, scan } from '../data-path/index.ts'
import { refused } from './plan.ts'
import type { Work } from './work.ts'

const sectorSizeBytes = 512

/** Whether a disk becomes a qcow2: a raw one that is to be thin. Throws AgentError `refused` where that cannot be. */
export function becomesThin(
  { number, format, virtualBytes, device }: Pick<DiskAuthority, 'number' | 'format' | 'virtualBytes' | 'device'>,
  thin: boolean | undefined,
): boolean {
  if (thin !== true || format !== 'raw') return false
  if (device !== undefined) throw refused(`thin: disk ${number} lies on a block device, which cannot become thin`)
  if (virtualBytes % sectorSizeBytes !== 0 || virtualBytes > thinDiskSizeMaxBytes) {
    throw refused(
      `thin: disk ${number} has ${virtualBytes} bytes, expected whole sectors of ${sectorSizeBytes}, at most ${thinDiskSizeMaxBytes}`,
    )
  }
  return true
}

/**
 * What a raw disk is to be copied from when it becomes thin: the qcow2 image of what it has, once all of it was read to see
 * where that is. Begins no file; counts what it reads as done. Throws DataPathError.
 */
export async function thinSourceOf(work: Work, disk: Image, number: number): Promise<Source> {
  const { signal, pace, lanes, bulk, progress, verifies } = work
  using _turn = await bulk.enter(signal, pace)
  const step = `looking for the data of disk ${number}`
  progress.begin(step)
  // Where the copy is verified, so is that nothing was missed.
  progress.totalBytes += verifies ? 2 * disk.sizeBytes : disk.sizeBytes
  return await scan(disk, { signal, pace, lanes, onProgress: (doneBytes) => progress.advance(step, doneBytes) })
}
