import type { FileHandle } from 'node:fs/promises'
import { DataPathError } from './data-path-error.ts'
import { requireFreeSpace } from './free-space.ts'
import { fileSizeBytesOf, type Image, offsetBytesOf } from './image.ts'
import { abandon, attempt, createExclusive, openRegular, syncFolderOf } from './regular-file.ts'
import { openSource, type SourceFile } from './source-file.ts'
import { startJob } from './start-job.ts'

/** What to tell the caller, and how it stops us. */
export interface TransferOptions {
  readonly signal: AbortSignal
  /** Called some times a second. `doneBytes` of `totalBytes` of the image are through this phase. */
  onProgress(progress: {
    readonly phase: 'copy' | 'verify'
    readonly doneBytes: number
    readonly totalBytes: number
  }): void
}

/**
 * Copies the plaintext of one image into another: encrypts, decrypts, encrypts under another key, or copies. A plain target
 * is created here, readable by its owner alone, and keeps zero areas as holes; a LUKS target was created by
 * `createLuksFile` and has no payload yet. When this resolves the target is on disk, file and folder synced; compare it
 * with `verify` before anything relies on it. When it rejects, the target is gone and the source as it was.
 *
 * Rejects with a DataPathError: `size-mismatch`, `not-found`, `not-regular`, `already-exists`, `target-not-empty`,
 * `no-space`, `source-changed`, `truncated`, `padding-not-zero`, `aborted`, `io`, `worker-failed`.
 */
export async function transfer(source: Image, target: Image, options: TransferOptions): Promise<void> {
  checkSameSize(source, target)
  if (options.signal.aborted) throw new DataPathError('aborted', `stopped before ${source.path} was read`)
  await using sourceFile = await openSource(source)
  await using handle = await openTarget(target)
  try {
    await fill(sourceFile, target, handle, options)
  } catch (error) {
    await abandon(target.path, handle, error)
  }
}

/** Refuses two images of different sizes with a DataPathError `size-mismatch`, and sizes that no image has. */
export function checkSameSize(source: Image, target: Image): void {
  for (const { path, sizeBytes } of [source, target]) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
      throw new DataPathError('size-mismatch', `${path}: ${sizeBytes} is not a size of an image`)
    }
  }
  if (source.sizeBytes !== target.sizeBytes) {
    throw new DataPathError(
      'size-mismatch',
      `${source.path} has ${source.sizeBytes} bytes, ${target.path} is to have ${target.sizeBytes}`,
    )
  }
}

async function openTarget(target: Image): Promise<FileHandle> {
  if (target.kind === 'plain') {
    await requireFreeSpace(target.path, target.sizeBytes)
    return await createExclusive(target.path)
  }
  const handle = await openRegular(target.path, 'write')
  try {
    const { size, nlink } = await handle.stat()
    if (nlink !== 1)
      throw new DataPathError('not-regular', `${target.path} has ${nlink} names, and so may be another’s`)
    if (size !== target.payloadOffsetBytes) {
      throw new DataPathError(
        'target-not-empty',
        `${target.path} has ${size} bytes, expected a header of ${target.payloadOffsetBytes} and no payload`,
      )
    }
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function fill(
  sourceFile: SourceFile,
  target: Image,
  handle: FileHandle,
  { signal, onProgress }: TransferOptions,
): Promise<void> {
  const totalBytes = target.sizeBytes
  const sizeBytes = fileSizeBytesOf(target)
  if (target.kind === 'luks') await requireFreeSpace(target.path, sizeBytes - offsetBytesOf(target))
  await startJob(
    'copy',
    sourceFile,
    { image: target, handle },
    {
      signal,
      onProgress: (doneBytes) => onProgress({ phase: 'copy', doneBytes, totalBytes }),
    },
  )
  await sourceFile.checkUnchanged()
  await attempt(`cannot finish ${target.path}`, async () => {
    await handle.truncate(sizeBytes)
    await handle.sync()
  })
  await syncFolderOf(target.path)
}
