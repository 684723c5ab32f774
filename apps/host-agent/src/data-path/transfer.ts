import { directAlignmentBytes, type StorageFile } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { requireFreeSpace } from './free-space.ts'
import { fileSizeBytesOf, type Image, offsetBytesOf } from './image.ts'
import { createImageFile, openImageFile, syncName } from './image-file.ts'
import type { OpenImage } from './open-image.ts'
import type { Pace } from './pace.ts'
import { openDirect } from './read-back.ts'
import type { Source } from './source.ts'
import { openSource, type SourceFile } from './source-file.ts'
import { type LaneSettings, startJob } from './start-job.ts'

/** What to tell the caller, and how it paces and stops us. */
export interface DataPathOptions {
  readonly signal: AbortSignal
  readonly lanes: LaneSettings
  readonly pace: Pace
  /**
   * Whether to read and write past the page cache (O_DIRECT) where that can be. Left out: of sources devices alone, since
   * files are read twice, and all targets: a disk takes what is written so in half the time that it takes to be synced.
   */
  readonly direct?: boolean
  /** Called some times a second: that many bytes of the image are through this phase. */
  onProgress(doneBytes: number): void
}

export interface TransferOptions extends DataPathOptions {
  /** Goes on where an earlier try stood: that many bytes, a multiple of 4096, are in the target, durable. Left out: it is new. */
  readonly resumeAtBytes?: number
  /** Called when all bytes of the image before `doneBytes` are in the target, durable. */
  readonly checkpoint?: { readonly everyBytes: number; save(doneBytes: number): Promise<void> }
}

/**
 * Copies the plaintext of one image into another: encrypts, decrypts, encrypts under another key, or copies. A plain target
 * is created here, readable by its owner alone, and keeps zero areas as holes; a LUKS target was created by
 * `createLuksFile` and has no payload yet; a device is there, and is written from its beginning or its payload's. When this resolves the target is on disk, file and folder synced; compare it
 * with `verify` before anything relies on it. When it rejects, the source is as it was, and the target is the caller's to
 * remove or to go on with.
 *
 * Rejects with a DataPathError: `size-mismatch`, `not-found`, `not-regular`, `already-exists`, `target-not-empty`,
 * `no-space`, `source-changed`, `truncated`, `padding-not-zero`, `aborted`, `io`, `worker-failed`.
 */
export async function transfer(source: Source, target: Image, options: TransferOptions): Promise<void> {
  checkSameSize(source, target)
  if (options.signal.aborted) throw new DataPathError('aborted', `stopped before ${source.place.path} was read`)
  await using sourceFile = await openSource(source, options.direct)
  await using targetFile = await openTarget(target, options)
  await fill(sourceFile, targetFile, options)
}

/** Refuses two images of different sizes with a DataPathError `size-mismatch`, and sizes that no image has. */
export function checkSameSize(source: Source, target: Image): void {
  for (const { place, sizeBytes } of [source, target]) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
      throw new DataPathError('size-mismatch', `${place.path}: ${sizeBytes} is not a size of an image`)
    }
  }
  if (source.sizeBytes !== target.sizeBytes) {
    throw new DataPathError(
      'size-mismatch',
      `${source.place.path} has ${source.sizeBytes} bytes, ${target.place.path} is to have ${target.sizeBytes}`,
    )
  }
}

/** An image that is being written. */
interface TargetFile extends OpenImage, AsyncDisposable {
  readonly image: Image
}

/** Opens or creates the target; of one that is gone on with, all after what is done is cut off. */
async function openTarget(target: Image, options: TransferOptions): Promise<TargetFile> {
  const { place } = target
  const { resumeAtBytes = 0, direct = true } = options
  if (place.kind === 'device') return await openTargetDevice(target, direct)
  await using stack = new AsyncDisposableStack()
  const isNew = offsetBytesOf(target) === 0 && resumeAtBytes === 0
  if (isNew) await requireFreeSpace(place, target.sizeBytes)
  const file = stack.use(isNew ? await createImageFile(place) : await openImageFile(place, 'write'))
  // What a checkpoint says of a file counts for nothing while its name may vanish.
  if (isNew) await syncName(place)
  if (!isNew) await checkBegun(target, file, offsetBytesOf(target) + resumeAtBytes, resumeAtBytes > 0)
  const directFile = direct ? await openDirect(place, 'write') : null
  if (directFile !== null) stack.use(directFile)
  return targetFile(target, file, directFile, stack.move())
}

/** A device is open only once while it is written, so it is all direct or not at all: every write has to be aligned. */
async function openTargetDevice(target: Image, direct: boolean): Promise<TargetFile> {
  const { place } = target
  await using stack = new AsyncDisposableStack()
  const neededBytes = fileSizeBytesOf(target)
  const aligned = (neededBytes | offsetBytesOf(target)) % directAlignmentBytes === 0
  const directFile = direct && aligned ? await openDirect(place, 'write') : null
  const file = stack.use(directFile ?? (await openImageFile(place, 'write')))
  const { sizeBytes } = await attempt(`cannot look at ${place.path}`, () => file.stat())
  if (sizeBytes < neededBytes) {
    throw new DataPathError('no-space', `${place.path} has ${sizeBytes} bytes, its image needs ${neededBytes}`)
  }
  return targetFile(target, file, directFile, stack.move())
}

function targetFile(
  image: Image,
  file: StorageFile,
  directFile: StorageFile | null,
  stack: AsyncDisposableStack,
): TargetFile {
  return { image, file, directFile, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function checkBegun(target: Image, file: StorageFile, expected: number, resumed: boolean): Promise<void> {
  const { path } = target.place
  const { sizeBytes } = await attempt(`cannot look at ${path}`, () => file.stat())
  if (resumed && sizeBytes >= expected) {
    await attempt(`cannot cut off ${path}`, () => file.truncate(expected))
    return
  }
  if (sizeBytes === expected) return
  throw new DataPathError(
    'target-not-empty',
    `${path} has ${sizeBytes} bytes, expected ${expected}: what is done of it, and no more`,
  )
}

async function fill(
  sourceFile: SourceFile,
  target: TargetFile,
  { signal, lanes, pace, onProgress, resumeAtBytes = 0, checkpoint }: TransferOptions,
): Promise<void> {
  const { image, file } = target
  const { place } = image
  const sizeBytes = fileSizeBytesOf(image)
  if (offsetBytesOf(image) > 0 && place.kind === 'file') {
    await requireFreeSpace(place, sizeBytes - offsetBytesOf(image) - resumeAtBytes)
    await attempt(`cannot take the room for ${place.path}`, () => file.allocate(sizeBytes))
  } else if (place.kind === 'file') {
    // A checkpoint may lie among zeros that are not written, and is worth nothing without the file's name.
    await attempt(`cannot lengthen ${place.path}`, () => file.truncate(sizeBytes))
    if (checkpoint !== undefined) await syncName(place)
  }
  await startJob('copy', sourceFile, target, {
    signal,
    lanes,
    pace,
    onProgress,
    startBytes: resumeAtBytes,
    ...(checkpoint === undefined
      ? {}
      : {
          checkpoint: {
            everyBytes: checkpoint.everyBytes,
            save: async (doneBytes) => {
              await attempt(`cannot write ${place.path} out`, () => file.sync())
              await checkpoint.save(doneBytes)
            },
          },
        }),
  })
  await sourceFile.checkUnchanged()
  await attempt(`cannot finish ${place.path}`, async () => {
    if (place.kind === 'file' && (await file.stat()).sizeBytes !== sizeBytes) await file.truncate(sizeBytes)
    await file.sync()
  })
  await syncName(place)
}
