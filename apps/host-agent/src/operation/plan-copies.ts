import { requireFreeSpace } from '../data-path/index.ts'
import { vmDocumentName } from '../datastore/vm-document.ts'
import type { Work } from './work.ts'

/** Room for headers, VM Home and metadata, beside the images themselves. */
const spareBytesPerCopy = 4_194_304

/**
 * Says how much an operation will copy and compare, beside what it read already, and makes sure that all of it fits before
 * the first byte is written. Throws DataPathError `no-space`.
 */
export async function planCopies(
  { folder, progress, verifies, resumed }: Work,
  sizesBytes: readonly number[],
): Promise<void> {
  const sumBytes = sizesBytes.reduce((sum, sizeBytes) => sum + sizeBytes, 0)
  progress.totalBytes += verifies ? 2 * sumBytes : sumBytes
  // What an earlier try took is there already; what is missing still is found out by whoever takes it.
  if (resumed !== null) return
  await requireFreeSpace(folder.place(vmDocumentName), sumBytes + sizesBytes.length * spareBytesPerCopy)
}

/** The same for a disk that is moved on its own device: only its header is kept beside the journal. */
export async function planInPlace(
  { folder, progress, verifies, resumed }: Work,
  sizeBytes: number,
  headerBytes: number,
): Promise<void> {
  progress.totalBytes = verifies ? 2 * sizeBytes : sizeBytes
  if (resumed !== null) return
  await requireFreeSpace(folder.place(vmDocumentName), headerBytes + spareBytesPerCopy)
}
