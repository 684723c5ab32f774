import { type Image, requireFreeSpace, transfer, verify } from '../data-path/index.ts'
import { vmDocumentName } from '../datastore/vm-document.ts'
import type { Work } from './work.ts'

/** Room for headers, VM Home and metadata, beside the images themselves. */
const spareBytesPerCopy = 4_194_304

/**
 * Says how much an operation will copy and compare, and makes sure that all of it fits before the first byte is written.
 * Throws DataPathError `no-space`.
 */
export async function planCopies({ folder, progress }: Work, sizesBytes: readonly number[]): Promise<void> {
  const sumBytes = sizesBytes.reduce((sum, sizeBytes) => sum + sizeBytes, 0)
  progress.totalBytes = 2 * sumBytes
  await requireFreeSpace(folder.at(vmDocumentName), sumBytes + sizesBytes.length * spareBytesPerCopy)
}

/** Copies an image, synced. Throws DataPathError, after which there is no target. */
export async function copyDisk(work: Work, source: Image, target: Image, step: string): Promise<void> {
  work.progress.begin(step)
  await transfer(source, target, optionsOf(work))
}

/** Reads an image back from its disk and compares it with its source. Throws DataPathError. */
export async function compareDisk(work: Work, source: Image, target: Image, step: string): Promise<void> {
  work.progress.begin(step)
  const { readBack } = await verify(source, target, optionsOf(work))
  if (readBack === 'page-cache')
    work.warn(`${step}: the file system has no direct reads, so cached pages were compared`)
}

function optionsOf({ signal, progress }: Work) {
  return { signal, onProgress: ({ doneBytes }: { doneBytes: number }) => progress.advance(doneBytes) }
}
