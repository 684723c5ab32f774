import { DataPathError } from './data-path-error.ts'
import { fileSizeBytesOf, type Image, offsetBytesOf } from './image.ts'
import { openReadBack } from './read-back.ts'
import { attempt } from './regular-file.ts'
import { openSource } from './source-file.ts'
import { startJob } from './start-job.ts'
import { checkSameSize, type TransferOptions } from './transfer.ts'

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
 * which names the first offset, `size-mismatch`, `source-changed`, and the others of `transfer`. Changes nothing.
 */
export async function verify(source: Image, target: Image, options: TransferOptions): Promise<Verification> {
  checkSameSize(source, target)
  if (options.signal.aborted) throw new DataPathError('aborted', `stopped before ${target.path} was read`)
  await using sourceFile = await openSource(source)
  const { handle, direct } = await openReadBack(target.path, offsetBytesOf(target))
  await using _ = handle
  const { size } = await attempt(`cannot look at ${target.path}`, () => handle.stat())
  if (size !== fileSizeBytesOf(target)) {
    throw new DataPathError('size-mismatch', `${target.path} has ${size} bytes, expected ${fileSizeBytesOf(target)}`)
  }
  await startJob(
    'compare',
    sourceFile,
    { image: target, handle, direct },
    {
      signal: options.signal,
      onProgress: (doneBytes) => options.onProgress({ phase: 'verify', doneBytes, totalBytes: target.sizeBytes }),
    },
  )
  await sourceFile.checkUnchanged()
  return { readBack: direct ? 'device' : 'page-cache' }
}
