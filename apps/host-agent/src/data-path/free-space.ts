import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import type { Place } from './place.ts'

/**
 * Refuses with a DataPathError `no-space` when the file system of `place` has fewer than `neededBytes` left for users, and
 * says how much is missing. Room may still run out later: then a write fails with the same code.
 */
export async function requireFreeSpace(
  { path, freeBytes }: Pick<Place, 'path' | 'freeBytes'>,
  neededBytes: number,
): Promise<void> {
  const free = await attempt(`cannot ask for the free space at ${path}`, () => freeBytes())
  if (free < neededBytes) {
    throw new DataPathError(
      'no-space',
      `${path} needs ${neededBytes} bytes, ${free} are free: ${neededBytes - free} are missing`,
    )
  }
}
