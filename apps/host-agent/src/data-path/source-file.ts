import type { StorageStats } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { fileSizeBytesOf } from './image.ts'
import { openImageFile } from './image-file.ts'
import type { OpenImage } from './open-image.ts'
import { openDirect } from './read-back.ts'
import { type Source, storedImageOf } from './source.ts'

/** Tells one state of a file's contents from all others that it is likely to have. */
export interface SourceVersion {
  readonly sizeBytes: number
  /** In nanoseconds since 1970, as decimal digits. */
  readonly modifiedNs: string
}

/** An image that is read while nothing may change it. */
export interface SourceFile extends OpenImage, AsyncDisposable {
  readonly version: SourceVersion
  /** Rejects with a DataPathError `source-changed` when the file was written, grew or shrank since it was opened. */
  checkUnchanged(): Promise<void>
}

/**
 * Opens an image to read it; a device past the page cache where that can be. Rejects with a DataPathError: `size-mismatch`
 * when a plain file has not the exact size, `truncated` when a file or device ends before its image does, or what
 * `openImageFile` rejects with.
 */
export async function openSource(image: Source, direct = image.place.kind === 'device'): Promise<SourceFile> {
  const { path } = image.place
  await using stack = new AsyncDisposableStack()
  const file = stack.use(await openImageFile(image.place, 'read'))
  const directFile = direct ? await openDirect(image.place, 'read') : null
  if (directFile !== null) stack.use(directFile)
  const version = versionOf(await attempt(`cannot look at ${path}`, () => file.stat()))
  checkSize(image, version.sizeBytes)
  const open = stack.move()
  return {
    image,
    file,
    directFile,
    version,
    checkUnchanged: async () => {
      const now = versionOf(await attempt(`cannot look at ${path}`, () => file.stat()))
      if (!sameVersion(version, now)) {
        throw new DataPathError('source-changed', `${path} was changed while it was read: stop what writes it`)
      }
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** Whether a file's contents are still those of `one`, as far as size and time tell. */
export function sameVersion(one: SourceVersion, other: SourceVersion): boolean {
  return one.sizeBytes === other.sizeBytes && one.modifiedNs === other.modifiedNs
}

function versionOf({ sizeBytes, modifiedNs }: StorageStats): SourceVersion {
  return { sizeBytes, modifiedNs: String(modifiedNs) }
}

function checkSize(source: Source, found: number): void {
  const image = storedImageOf(source)
  const expected = fileSizeBytesOf(image)
  const { path, kind } = image.place
  if (image.kind === 'plain' && kind === 'file' && found !== expected) {
    throw new DataPathError('size-mismatch', `${path} has ${found} bytes, expected ${expected}`)
  }
  if (found < expected) {
    throw new DataPathError('truncated', `${path} has ${found} bytes, its image needs ${expected}`)
  }
}
