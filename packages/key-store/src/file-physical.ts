import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyStoreError } from './key-store-error.ts'
import { type Area, isEntryId, type Physical } from './physical.ts'

/**
 * Entries as files of mode 0600 in a folder per area, below `folder`. Each is written new, synced and renamed. Erasing
 * overwrites the file first, which a copy-on-write file system or a flash disk may turn into a copy.
 */
export class FilePhysical implements Physical {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async read(area: Area, id: string): Promise<Uint8Array | null> {
    try {
      return await readFile(this.#pathOf(area, id))
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async write(area: Area, id: string, bytes: Uint8Array): Promise<void> {
    const path = this.#pathOf(area, id)
    await mkdir(join(this.#folder, area), { recursive: true, mode: 0o700 })
    const fresh = `${path}.new`
    await rm(fresh, { force: true })
    await writeSynced(fresh, 'wx', bytes)
    await rename(fresh, path)
    await syncFolder(join(this.#folder, area))
  }

  async erase(area: Area, id: string): Promise<void> {
    const path = this.#pathOf(area, id)
    const old = await this.read(area, id)
    if (old === null) return
    await writeSynced(path, 'r+', new Uint8Array(old.length))
    await rm(path)
    await syncFolder(join(this.#folder, area))
  }

  #pathOf(area: Area, id: string): string {
    if (!isEntryId(id))
      throw new KeyStoreError('bad-argument', 'the id of an entry has characters that it must not have')
    return join(this.#folder, area, id)
  }
}

async function writeSynced(path: string, flags: 'wx' | 'r+', bytes: Uint8Array): Promise<void> {
  await using file = await open(path, flags, 0o600)
  await file.writeFile(bytes)
  await file.sync()
}

/** A new name is on the disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
