import { headerAreaSizeMaxBytes, type Qcow2Header } from '@cryptvisor/qcow2'
import { attempt } from './attempt.ts'
import { readUpTo } from './file-bytes.ts'
import { openImageFile } from './image-file.ts'
import { holdsFormatMagic, type ImageMagic } from './image-magic.ts'
import type { Place } from './place.ts'
import { inspectQcow2 } from './qcow2.ts'

/** How much of an image's beginning is looked at. */
export const imageHeadSizeBytes = headerAreaSizeMaxBytes

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
 * DataPathError: `not-regular` for a link or a device; for qcow2 what `inspectQcow2` throws.
 */
export async function inspectImage(place: Place, format: 'raw' | 'qcow2'): Promise<InspectedImage> {
  await using file = await openImageFile(place, 'read')
  const { size, bytes } = await attempt(`cannot read ${place.path}`, async () => ({
    size: (await file.stat()).sizeBytes,
    bytes: await readUpTo(file, headerAreaSizeMaxBytes),
  }))
  return { fileSizeBytes: size, ...inspectHead(bytes, format) }
}

/** Looks at the beginning of an image, `imageHeadSizeBytes` or all of it. Throws what `inspectQcow2` throws. */
export function inspectHead(bytes: Uint8Array, format: 'raw' | 'qcow2'): Omit<InspectedImage, 'fileSizeBytes'> {
  const magic = holdsFormatMagic(bytes)
  return { magic, qcow2: format === 'raw' ? null : inspectQcow2(bytes) }
}
