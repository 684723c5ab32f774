import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Puts a file of the agent's own folder into place whole and durable, for its owner alone. */
export async function writeAgentFile(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`
  await rm(fresh, { force: true })
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  {
    await using file = await open(fresh, flags, 0o600)
    await file.writeFile(bytes)
    await file.sync()
  }
  await rename(fresh, path)
  await syncFolderOf(path)
}

/** Removes a file of the agent's own folder, and what an unfinished writing of it has left, durably; fine when it is not there. */
export async function removeAgentFile(path: string): Promise<void> {
  await rm(path, { force: true })
  await rm(`${path}.new`, { force: true })
  await syncFolderOf(path)
}

/** Makes durable which files there are in the folder of `path`. */
export async function syncFolderOf(path: string): Promise<void> {
  await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  await folder.sync()
}
