import { directAlignmentBytes, type StorageFile } from '@cryptvisor/storage'
import { errnoOf } from '../io-error.ts'
import { openImageFile } from './image-file.ts'
import type { Place } from './place.ts'

/**
 * Memory for direct reads: `sizeBytes` bytes, zero, that begin on a page. Node's own buffers begin anywhere; a WebAssembly
 * memory's do on a page.
 */
export function pageAlignedBuffer(sizeBytes: number): Buffer {
  const pageSizeBytes = 65_536
  const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / pageSizeBytes) })
  return Buffer.from(memory.buffer, 0, sizeBytes)
}

/** Opens a file or device for reads and writes past the page cache (O_DIRECT); `null` where there are none. */
export async function openDirect(place: Place, access: 'read' | 'write'): Promise<StorageFile | null> {
  let file: StorageFile
  try {
    file = await openImageFile(place, access, { direct: true })
  } catch (error) {
    if (isInvalid(error)) return null
    throw error
  }
  try {
    await file.read(pageAlignedBuffer(directAlignmentBytes), 0)
    return file
  } catch (error) {
    await file[Symbol.asyncDispose]()
    if (isInvalid(error)) return null
    throw error
  }
}

/**
 * Opens a file to read back what was written: from the device where the file system can do that, else through the page cache.
 * Node cannot drop the cache, so `direct` of the result says which it is.
 */
export async function openReadBack(place: Place): Promise<StorageFile> {
  return (await openDirect(place, 'read')) ?? (await openImageFile(place, 'read'))
}

/** EINVAL is what Linux says where there is no O_DIRECT, at the open or at the first read. */
function isInvalid(error: unknown): boolean {
  return errnoOf(error) === 'EINVAL' || (error instanceof Error && isInvalid(error.cause))
}
