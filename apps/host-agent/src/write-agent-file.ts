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
  await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  await folder.sync()
}
