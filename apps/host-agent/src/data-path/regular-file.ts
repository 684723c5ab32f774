import { constants } from 'node:fs'
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DataPathError, dataPathErrorOf } from './data-path-error.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/**
 * Opens an existing regular file. A link, a folder, a device or a pipe in its place is a DataPathError `not-regular`.
 * Flags add to O_RDONLY or O_RDWR.
 */
export async function openRegular(path: string, access: 'read' | 'write', flags = 0): Promise<FileHandle> {
  // O_NONBLOCK: a pipe in the file's place must not stop us before we have seen that it is one.
  const mode = access === 'read' ? O_RDONLY : O_RDWR
  const handle = await attempt(`cannot open ${path}`, () => open(path, mode | O_NOFOLLOW | O_NONBLOCK | flags))
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new DataPathError('not-regular', `${path} is not a regular file`)
    return handle
  } catch (error) {
    await handle.close()
    throw dataPathErrorOf(error, `cannot open ${path}`)
  }
}

/** Creates a file for reading and writing by its owner alone. A DataPathError `already-exists` when anything is there. */
export async function createExclusive(path: string): Promise<FileHandle> {
  return await attempt(`cannot create ${path}`, () => open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600))
}

/** Makes a file's entry in its folder durable. */
export async function syncFolderOf(path: string): Promise<void> {
  await attempt(`cannot sync the folder of ${path}`, async () => {
    await using folder = await open(dirname(path), O_RDONLY | O_DIRECTORY)
    await folder.sync()
  })
}

/**
 * Gives up the file that `handle` has made at `path`, because of `error`: removes it and throws that error. When it cannot
 * be removed, throws a DataPathError `io` that says so, with both errors as its cause.
 */
export async function abandon(path: string, handle: FileHandle, error: unknown): Promise<never> {
  try {
    await removeOwn(path, handle)
  } catch (removeError) {
    throw new DataPathError('io', `${path} is of no use and could not be removed: remove it by hand`, {
      cause: new AggregateError([error, removeError]),
    })
  }
  throw error
}

/** Removes the file that `handle` has open, unless something else lies under its path now. */
async function removeOwn(path: string, handle: FileHandle): Promise<void> {
  await attempt(`cannot remove ${path}`, async () => {
    const own = await handle.stat()
    const there = await lstat(path).catch(() => null)
    if (there === null || there.dev !== own.dev || there.ino !== own.ino) return
    await unlink(path)
    await syncFolderOf(path)
  })
}

/** Runs `action`; an error of the file system becomes a DataPathError that begins with `what`. */
export async function attempt<Result>(what: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action()
  } catch (error) {
    throw dataPathErrorOf(error, what)
  }
}
