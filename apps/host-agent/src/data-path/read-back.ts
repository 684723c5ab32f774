import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { errnoOf } from '../io-error.ts'
import { openRegular } from './regular-file.ts'

/** Offsets, sizes and memory of direct reads are multiples of this: it suits every block size in use. */
export const directAlignmentBytes = 4096

/** A file opened to be read back. */
export interface ReadBackFile {
  readonly handle: FileHandle
  /** Whether reads pass the page cache by and come from the device. If not, they may show what was never written out. */
  readonly direct: boolean
}

/**
 * Memory for direct reads: `sizeBytes` bytes, zero, that begin on a page. Node's own buffers begin anywhere; a WebAssembly
 * memory's do on a page.
 */
export function pageAlignedBuffer(sizeBytes: number): Buffer {
  const pageSizeBytes = 65_536
  const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / pageSizeBytes) })
  return Buffer.from(memory.buffer, 0, sizeBytes)
}

/**
 * Opens a regular file for reads from the device (O_DIRECT), or through the page cache where the file system has no direct
 * reads or `offsetBytes` does not suit them. Node cannot drop the cache, so the answer says which it is.
 */
export async function openReadBack(path: string, offsetBytes: number): Promise<ReadBackFile> {
  const direct = offsetBytes % directAlignmentBytes === 0 ? await openDirect(path) : null
  return direct === null ? { handle: await openRegular(path, 'read'), direct: false } : { handle: direct, direct: true }
}

/** Null when the file system refuses direct reads. */
async function openDirect(path: string): Promise<FileHandle | null> {
  let handle: FileHandle
  try {
    handle = await openRegular(path, 'read', constants.O_DIRECT)
  } catch (error) {
    if (isInvalid(error)) return null
    throw error
  }
  try {
    await handle.read(pageAlignedBuffer(directAlignmentBytes), 0, directAlignmentBytes, 0)
    return handle
  } catch (error) {
    await handle.close()
    if (isInvalid(error)) return null
    throw error
  }
}

/** EINVAL is what Linux says where there is no O_DIRECT, at the open or at the first read. */
function isInvalid(error: unknown): boolean {
  return errnoOf(error) === 'EINVAL' || (error instanceof Error && isInvalid(error.cause))
}
