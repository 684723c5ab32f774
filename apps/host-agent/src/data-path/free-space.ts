import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DataPathError } from './data-path-error.ts'
import { attempt } from './regular-file.ts'

/**
 * Refuses with a DataPathError `no-space` when the file system of `path` has fewer than `neededBytes` left for users, and
 * says how much is missing. Room may still run out later: then a write fails with the same code.
 */
export async function requireFreeSpace(path: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await attempt(`cannot ask for the free space at ${path}`, () => statfs(dirname(path)))
  const freeBytes = bavail * bsize
  if (freeBytes < neededBytes) {
    throw new DataPathError(
      'no-space',
      `${path} needs ${neededBytes} bytes, ${freeBytes} are free: ${neededBytes - freeBytes} are missing`,
    )
  }
}
