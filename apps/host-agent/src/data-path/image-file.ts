import type { OpenOptions, StorageAccess, StorageFile } from '@cryptvisor/storage'
import { errnoOf } from '../io-error.ts'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import type { Place } from './place.ts'

/**
 * Opens an image's file or device. Rejects with a DataPathError: `not-found`, `not-regular` for a link or anything that is
 * neither, `io`. A file that is to be written must have one name: under another it may be somebody else's (`not-regular`).
 */
export async function openImageFile(place: Place, access: StorageAccess, options?: OpenOptions): Promise<StorageFile> {
  const file = await attempt(`cannot open ${place.path}`, () => opened(place, access, options))
  try {
    const { kind, linkCount } = await attempt(`cannot look at ${place.path}`, () => file.stat())
    if (kind !== place.kind) throw new DataPathError('not-regular', `${place.path} is not a regular ${place.kind}`)
    if (access === 'write' && kind === 'file' && linkCount !== 1) {
      throw new DataPathError('not-regular', `${place.path} has ${linkCount} names, and so may be another’s`)
    }
    return file
  } catch (error) {
    await file[Symbol.asyncDispose]()
    throw error
  }
}

async function opened(place: Place, access: StorageAccess, options: OpenOptions = {}): Promise<StorageFile> {
  try {
    return await place.open(access, options)
  } catch (cause) {
    const errno = errnoOf(cause)
    // Of a direct open the same may mean that there are none.
    if (errno !== 'ENOTBLK' && (errno !== 'EINVAL' || options.direct === true)) throw cause
    throw new DataPathError('not-regular', `${place.path} is not a regular ${place.kind}`, { cause })
  }
}

/** Creates an image's file for its owner alone. Rejects with a DataPathError `already-exists` when anything is there. */
export async function createImageFile(place: Place): Promise<StorageFile> {
  return await attempt(`cannot create ${place.path}`, () => place.create())
}

/** Makes a file's name durable. */
export async function syncName(place: Place): Promise<void> {
  await attempt(`cannot sync the folder of ${place.path}`, () => place.syncName())
}

/**
 * Gives up the file that was made at `place`, because of `error`: removes it and throws that error. When it cannot be
 * removed, throws a DataPathError `io` that says so, with both errors as its cause.
 */
export async function abandon(place: Place, error: unknown): Promise<never> {
  try {
    await attempt(`cannot remove ${place.path}`, async () => {
      await place.remove()
      await place.syncName()
    })
  } catch (removeError) {
    throw new DataPathError('io', `${place.path} is of no use and could not be removed: remove it by hand`, {
      cause: new AggregateError([error, removeError]),
    })
  }
  throw error
}
