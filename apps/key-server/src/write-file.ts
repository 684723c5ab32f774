import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Secret } from '@cryptvisor/secret'
import { KeyServerError } from './key-server-error.ts'

/**
 * Writes a new file that its owner alone can read; it and its name are on the disk then. Throws `bad-argument` when it
 * is there already.
 */
export async function writeNewFile(path: string, content: string | Uint8Array | Secret): Promise<void> {
  await writeSynced(path, content)
  await syncFolderOf(path)
}

/** Puts such a file in the place of the one that is there, whole or not at all. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const fresh = `${path}.new`
  await rm(fresh, { force: true })
  await writeSynced(fresh, content)
  await rename(fresh, path)
  await syncFolderOf(path)
}

async function writeSynced(path: string, content: string | Uint8Array | Secret): Promise<void> {
  await using file = await openNew(path)
  if (typeof content === 'string' || content instanceof Uint8Array) await file.writeFile(content)
  else await content.expose((bytes) => file.writeFile(bytes))
  await file.sync()
}

async function openNew(path: string) {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    throw new KeyServerError('bad-argument', `${path} cannot be made: it must be new, in a folder that is yours`, {
      cause,
    })
  }
}

/** A name is on the disk when its folder is. */
async function syncFolderOf(path: string): Promise<void> {
  await using folder = await open(dirname(path), 'r')
  await folder.sync()
}
