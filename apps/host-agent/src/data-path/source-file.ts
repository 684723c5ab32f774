import type { BigIntStats } from 'node:fs'
import { DataPathError } from './data-path-error.ts'
import { fileSizeBytesOf, type Image } from './image.ts'
import { attempt, openRegular } from './regular-file.ts'
import type { OpenImage } from './start-job.ts'

/** An image that is read while nothing may change it. */
export interface SourceFile extends OpenImage, AsyncDisposable {
  /** Rejects with a DataPathError `source-changed` when the file was written, grew or shrank since it was opened. */
  checkUnchanged(): Promise<void>
}

/**
 * Opens an image to read it. Rejects with a DataPathError: `size-mismatch` when a plain file has not the exact size,
 * `truncated` when a LUKS file ends before its payload does, or what `openRegular` rejects with.
 */
export async function openSource(image: Image): Promise<SourceFile> {
  const handle = await openRegular(image.path, 'read')
  try {
    const opened = await handle.stat({ bigint: true })
    checkSize(image, Number(opened.size))
    return {
      image,
      handle,
      checkUnchanged: async () => {
        const now = await attempt(`cannot look at ${image.path}`, () => handle.stat({ bigint: true }))
        if (!sameVersion(opened, now)) {
          throw new DataPathError('source-changed', `${image.path} was changed while it was read: stop what writes it`)
        }
      },
      [Symbol.asyncDispose]: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function checkSize(image: Image, found: number): void {
  const expected = fileSizeBytesOf(image)
  if (image.kind === 'plain' && found !== expected) {
    throw new DataPathError('size-mismatch', `${image.path} has ${found} bytes, expected ${expected}`)
  }
  if (found < expected) {
    throw new DataPathError('truncated', `${image.path} has ${found} bytes, its image needs ${expected}`)
  }
}

function sameVersion(one: BigIntStats, other: BigIntStats): boolean {
  return one.size === other.size && one.mtimeNs === other.mtimeNs
}
