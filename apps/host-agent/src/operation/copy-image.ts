import { checkScan, type Image, type Source, transfer, verify } from '../data-path/index.ts'
import type { Work } from './work.ts'

/** Copies an image, synced. Throws DataPathError; then the target is the caller's to remove. */
export async function copyImage(work: Work, source: Source, target: Image, step: string): Promise<void> {
  const { signal, pace, lanes, progress } = work
  progress.begin(step)
  await transfer(source, target, { signal, pace, lanes, onProgress: (doneBytes) => progress.advance(step, doneBytes) })
}

/** Reads an image back from its disk and compares it with its source, unless that is not wanted. Throws DataPathError. */
export async function compareImage(work: Work, source: Source, target: Image, step: string): Promise<void> {
  const { signal, pace, lanes, progress } = work
  if (!work.verifies) return
  progress.begin(step)
  const onProgress = (doneBytes: number) => progress.advance(step, doneBytes)
  const { readBack } = await verify(source, target, { signal, pace, lanes, onProgress })
  if (source.kind === 'thin') {
    await checkScan(source, {
      signal,
      pace,
      lanes,
      onProgress: (doneBytes) => onProgress(source.sizeBytes + doneBytes),
    })
  }
  if (readBack === 'page-cache')
    work.warn(`${step}: the file system has no direct reads, so cached pages were compared`)
}

/** How much `compareImage` reads of a source: of a thin image its disk too, to see that nothing else is there. */
export function comparedBytesOf(source: Source): number {
  return source.kind === 'thin' && source.data !== null ? source.sizeBytes + source.disk.sizeBytes : source.sizeBytes
}
