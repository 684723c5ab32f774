import { holdsFormatMagic, type ImageMagic } from './image-magic.ts'
import { inspectQcow2, type Qcow2Header, qcow2HeaderAreaSizeMax, refuseForeignData } from './qcow2.ts'
import { readUpTo } from './read-up-to.ts'
import { attempt, openRegular } from './regular-file.ts'

/** An image that may be imported in the format that the caller named. */
export interface InspectedImage {
  readonly fileSizeBytes: number
  /** The magic at its beginning, or null. For a raw image anything but null asks for the caller's explicit word. */
  readonly magic: ImageMagic | null
  /** For qcow2 alone, else null. */
  readonly qcow2: Qcow2Header | null
}

/**
 * Looks at a file that is to be imported as `format`, which the caller named and which is never guessed. Rejects with a
 * DataPathError: `not-regular` for a link or a device; for qcow2 `bad-image` and what `refuseForeignData` throws.
 */
export async function inspectImage(path: string, format: 'raw' | 'qcow2'): Promise<InspectedImage> {
  await using handle = await openRegular(path, 'read')
  const { size, bytes } = await attempt(`cannot read ${path}`, async () => ({
    size: (await handle.stat()).size,
    bytes: await readUpTo(handle, qcow2HeaderAreaSizeMax),
  }))
  const magic = holdsFormatMagic(bytes)
  if (format === 'raw') return { fileSizeBytes: size, magic, qcow2: null }
  const qcow2 = inspectQcow2(bytes)
  refuseForeignData(qcow2)
  return { fileSizeBytes: size, magic, qcow2 }
}
