import { directAlignmentBytes } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { fileSizeBytesOf, type Image, offsetBytesOf } from './image.ts'
import { openImageFile } from './image-file.ts'
import { openDirect } from './read-back.ts'
import type { Source } from './source.ts'
import { openSource } from './source-file.ts'
import { startJob } from './start-job.ts'
import { checkSameSize, type DataPathOptions } from './transfer.ts'

/** How far a comparison reached. */
export interface Verification {
  /**
   * `device` when the target was read past the page cache (O_DIRECT). `page-cache` where the file system cannot do that:
   * the target was synced, yet what was compared may be memory that had been written out, not what the disk gives back.
   */
  readonly readBack: 'device' | 'page-cache'
}

/**
 * Reads both images and compares their plaintexts, and the target's file size. Rejects with a DataPathError: `mismatch`,
 * which names an offset (the first one with one lane), `size-mismatch`, `source-changed`, and the others of `transfer`. Changes nothing.
 */
export async function verify(source: Source, target: Image, options: DataPathOptions): Promise<Verification> {
  checkSameSize(source, target)
  const { place } = target
  if (options.signal.aborted) throw new DataPathError('aborted', `stopped before ${place.path} was read`)
  await using sourceFile = await openSource(source, options.direct)
  await using file = await openImageFile(place, 'read')
  // Only a payload that begins on a page can be read past the page cache; its end is read up to the next page.
  await using directFile = offsetBytesOf(target) % directAlignmentBytes === 0 ? await openDirect(place, 'read') : null
  const { sizeBytes } = await attempt(`cannot look at ${place.path}`, () => file.stat())
  const expected = fileSizeBytesOf(target)
  if (place.kind === 'file' ? sizeBytes !== expected : sizeBytes < expected) {
    throw new DataPathError('size-mismatch', `${place.path} has ${sizeBytes} bytes, expected ${expected}`)
  }
  const { signal, lanes, pace, onProgress } = options
  await startJob('compare', sourceFile, { image: target, file, directFile }, { signal, lanes, pace, onProgress })
  await sourceFile.checkUnchanged()
  return { readBack: directFile === null ? 'page-cache' : 'device' }
}
