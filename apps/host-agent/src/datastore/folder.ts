import {
  directAlignmentBytes,
  type Storage,
  type StorageFile,
  type StorageFolder,
  type StorageStats,
} from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import { readUpTo, writeFully } from '../data-path/file-bytes.ts'
import { type Place, placeIn } from '../data-path/place.ts'
import { openReadBack, pageAlignedBuffer } from '../data-path/read-back.ts'
import type { Devices } from '../disk/devices.ts'
import { errnoOf, ioError } from '../io-error.ts'

/** Something that lies in a folder. Its name may be none of ours. */
export interface FolderEntry {
  readonly name: string
  readonly stats: StorageStats
}

/** Called before each change that a folder makes on disk; a test stops the world there to play a crash. */
export type BeforeChange = (what: string) => Promise<void>

/** No folder of ours has more entries. */
const entriesMax = 10_000

/** Names that we make or take: no separators, no leading dot. */
const namePattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/

/**
 * One folder, held open, so that everything done in it stays in it, whatever happens to its path meanwhile. No link is
 * followed below it. All methods throw AgentError: `io`, `no-space`, or `datastore-mismatch` where something of another
 * kind has a name that should be ours.
 */
export class Folder implements AsyncDisposable {
  readonly #folder: StorageFolder
  readonly #beforeChange: BeforeChange
  readonly #devices: Devices | null

  private constructor(folder: StorageFolder, beforeChange: BeforeChange, devices: Devices | null) {
    this.#folder = folder
    this.#beforeChange = beforeChange
    this.#devices = devices
  }

  /** The path, for texts. */
  get path(): string {
    return this.#folder.path
  }

  /** Opens a folder by its path, which may lead over links that an administrator made; `null` when there is none. */
  static async open(
    storage: Storage,
    path: string,
    beforeChange: BeforeChange,
    devices: Devices | null = null,
  ): Promise<Folder | null> {
    const folder = await opening(path, () => storage.openFolder(path))
    return folder === null ? null : new Folder(folder, beforeChange, devices)
  }

  /** Opens the folder `name` in this one; `null` when there is none. A link is refused. */
  async folder(name: string): Promise<Folder | null> {
    const folder = await opening(`${this.path}/${name}`, () => this.#folder.folder(checked(name)))
    return folder === null ? null : new Folder(folder, this.#beforeChange, this.#devices)
  }

  /** Makes the folder `name` in this one for its owner alone, and opens it; durable when it resolves. */
  async makeFolder(name: string): Promise<Folder> {
    await this.#change(`make ${name}/`, () => this.#folder.makeFolder(checked(name)))
    try {
      await this.sync()
      const folder = await this.folder(name)
      if (folder !== null) return folder
    } catch (error) {
      // Nobody has put anything into it yet. What keeps it from being removed is no news beside the error.
      await this.removeFolder(name).catch(() => {})
      throw error
    }
    throw new AgentError('datastore-mismatch', `${this.path}/${name}: vanished while it was made`)
  }

  /** Where a file `name` of this folder lies, as long as this folder is open. */
  place(name: string): Place {
    return placeIn(this.#folder, checked(name))
  }

  /** Where a block device is that a VM in this folder lies on. Throws AgentError `refused`, `file-missing`. */
  async device(path: string): Promise<Place> {
    if (this.#devices === null) throw new AgentError('refused', `device ${path}: no disk of this folder lies on one`)
    return await this.#devices.place(path)
  }

  /** The whole of a file; `null` when it is not there. */
  async read(name: string, sizeMax: number): Promise<Buffer | null> {
    try {
      await using file = await this.#folder.openFile(checked(name), 'read')
      const { sizeBytes } = await file.stat()
      if (sizeBytes > sizeMax) {
        throw new AgentError('datastore-mismatch', `${this.path}/${name}: has more than ${sizeMax} bytes`)
      }
      // A file that grows meanwhile is not followed.
      return Buffer.from(await readUpTo(file, sizeBytes))
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return null
      throw this.#error(`cannot read ${name}`, cause)
    }
  }

  /**
   * The whole of a file as its disk gives it back, past the page cache where the file system can do that; `null` when it is
   * not there. For files that were just written and synced.
   */
  async readBack(name: string, sizeMax: number): Promise<Buffer | null> {
    if (!(await this.has(name))) return null
    try {
      await using file = await openReadBack(this.place(name))
      const { sizeBytes } = await file.stat()
      if (sizeBytes > sizeMax)
        throw new AgentError('datastore-mismatch', `${this.path}/${name}: has more than ${sizeMax} bytes`)
      const bytes = pageAlignedBuffer(Math.ceil((sizeBytes + 1) / directAlignmentBytes) * directAlignmentBytes)
      return bytes.subarray(0, await file.read(bytes, 0))
    } catch (cause) {
      throw this.#error(`cannot read ${name} back`, cause)
    }
  }

  /** Puts a file into place whole: written under another name, synced, renamed, the folder synced. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const fresh = freshName(name)
    await this.remove(fresh)
    await this.#change(`write ${fresh}`, async () => {
      await using file = await this.#folder.createFile(fresh)
      await writeFully(file, bytes, 0)
      await file.sync()
    })
    await this.#change(`rename ${fresh}`, () => this.#folder.rename(fresh, checked(name)))
    await this.sync()
  }

  /** Puts the file `fresh` in the place of `name`, durably; `false` when there is no such file. */
  async replace(name: string, fresh: string): Promise<boolean> {
    const found = await this.has(fresh)
    if (found) await this.#change(`rename ${fresh}`, () => this.#folder.rename(checked(fresh), checked(name)))
    await this.sync()
    return found
  }

  /** Gives the file `name` the same name in `other`, too; fine when it has it already. Not durable before `other` is synced. */
  async linkTo(other: Folder, name: string): Promise<void> {
    if (await this.sameFile(other, name)) return
    await this.#change(`link ${name}`, () => this.#folder.link(checked(name), other.#folder, name))
  }

  /** Whether `name` is one file in both folders. */
  async sameFile(other: Folder, name: string): Promise<boolean> {
    const [own, found] = [await this.#look(name), await other.#look(name)]
    return own !== null && own.kind === 'file' && own.identity === found?.identity
  }

  /** Makes a new file that reads as `sizeBytes` zeros and takes no room; durable when it resolves. */
  async makeHole(name: string, sizeBytes: number): Promise<void> {
    await this.#change(`make ${name}`, async () => {
      await using file = await this.#folder.createFile(checked(name))
      await file.truncate(sizeBytes)
      await file.sync()
    })
    await this.sync()
  }

  /** Removes a file; `false` when there was none: a folder of that name is not ours and stays. Durable only after `sync`. */
  async remove(name: string): Promise<boolean> {
    const stats = await this.#look(name)
    if (stats === null || stats.kind === 'folder') return false
    await this.#change(`remove ${name}`, () => this.#folder.removeFile(name))
    return true
  }

  /**
   * Removes the folder `name`, which must be empty, durably; `false` when other files keep it, or it is no folder or not there.
   * That it is not there is durable too: an earlier try may have removed it and not come to its sync.
   */
  async removeFolder(name: string): Promise<boolean> {
    if ((await this.#look(name)) === null) {
      await this.sync()
      return false
    }
    try {
      await this.#beforeChange(`remove ${name}/`)
      await this.#folder.removeFolder(name)
      await this.#folder.sync()
      return true
    } catch (cause) {
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoOf(cause) ?? '')) return false
      throw this.#error(`cannot remove ${name}`, cause)
    }
  }

  /** Makes what was removed here stay removed after a power loss. */
  async sync(): Promise<void> {
    await this.#change('sync', () => this.#folder.sync())
  }

  /** Whether anything has this name. */
  async has(name: string): Promise<boolean> {
    return (await this.#look(name)) !== null
  }

  /** The names of all that lies in the folder. */
  async names(): Promise<string[]> {
    try {
      const names = await this.#folder.names(entriesMax + 1)
      if (names.length <= entriesMax) return names
    } catch (cause) {
      throw this.#error('cannot list the folder', cause)
    }
    throw new AgentError('datastore-mismatch', `${this.path}: has more than ${entriesMax} entries`)
  }

  /**
   * What lies in the folder, whatever it is and is called, at most `countMax` of it: for showing. What vanishes meanwhile is
   * left out.
   */
  async entries(countMax: number): Promise<{ entries: FolderEntry[]; isAll: boolean }> {
    try {
      const names = await this.#folder.names(countMax + 1)
      const entries: FolderEntry[] = []
      for (const name of names.slice(0, countMax)) {
        const stats = await this.#folder.stat(name).catch(() => null)
        if (stats !== null) entries.push({ name, stats })
      }
      return { entries, isAll: names.length <= countMax }
    } catch (cause) {
      throw this.#error('cannot list the folder', cause)
    }
  }

  /** The first bytes of a file; fewer where it ends before. */
  async beginning(name: string, sizeBytes: number): Promise<Buffer> {
    try {
      await using file = await this.#folder.openFile(checked(name), 'read')
      return Buffer.from(await readUpTo(file, sizeBytes))
    } catch (cause) {
      throw this.#error(`cannot read ${name}`, cause)
    }
  }

  /** The files in the folder with their sizes; other things are left out. */
  async files(): Promise<{ name: string; sizeBytes: number; allocatedBytes: number }[]> {
    const files: { name: string; sizeBytes: number; allocatedBytes: number }[] = []
    for (const name of await this.names()) {
      const stats = await this.#folder.stat(name).catch(() => null)
      if (stats?.kind !== 'file') continue
      files.push({ name, sizeBytes: stats.sizeBytes, allocatedBytes: stats.allocatedBytes })
    }
    return files
  }

  /** Opens a file, which is made where it is missing, and takes its lock until it is closed; `null` while another has it. */
  async lock(name: string): Promise<StorageFile | null> {
    await using stack = new AsyncDisposableStack()
    try {
      const there = (await this.#look(name)) !== null
      const file = stack.use(
        there ? await this.#folder.openFile(checked(name), 'write') : await this.#folder.createFile(checked(name)),
      )
      if (!(await file.lock())) return null
      const [own, found] = [await file.stat(), await this.#look(name)]
      if (found?.identity !== own.identity) return null
      stack.move()
      return file
    } catch (cause) {
      // Somebody else made it between our look and our try.
      if (errnoOf(cause) === 'EEXIST') return null
      if (errnoOf(cause) === 'ENOLCK') throw new AgentError('io', `${this.path}/${name}: this storage gives no lock`)
      throw this.#error(`cannot lock ${name}`, cause)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]()
  }

  async #look(name: string): Promise<StorageStats | null> {
    try {
      return await this.#folder.stat(checked(name))
    } catch (cause) {
      throw this.#error(`cannot look at ${name}`, cause)
    }
  }

  async #change<Result>(what: string, action: () => Promise<Result>): Promise<Result> {
    await this.#beforeChange(what)
    try {
      return await action()
    } catch (cause) {
      throw this.#error(`cannot ${what}`, cause)
    }
  }

  #error(what: string, cause: unknown): AgentError {
    if (cause instanceof AgentError) return cause
    if (errnoOf(cause) === 'ELOOP') return notOurs(`${this.path}: ${what}`, 'no link', cause)
    if (errnoOf(cause) === 'EINVAL') return notOurs(`${this.path}: ${what}`, 'a regular file', cause)
    return ioError(`${this.path}: ${what}`, cause)
  }
}

/** What a file is called while it is written. */
export function freshName(name: string): string {
  return `${name}.new`
}

/** Opens a folder; `null` when there is none. `path` is for texts. */
async function opening(path: string, open: () => Promise<StorageFolder | null>): Promise<StorageFolder | null> {
  try {
    return await open()
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    const errno = errnoOf(cause)
    if (errno === 'ENOTDIR' || errno === 'ELOOP') throw notOurs(path, 'a folder, and no link to one', cause)
    throw ioError(`${path}: cannot be opened`, cause)
  }
}

/** Something of another kind has a name that should be ours. */
function notOurs(path: string, expected: string, cause?: unknown): AgentError {
  return new AgentError('datastore-mismatch', `${path}: expected ${expected}`, { cause })
}

function checked(name: string): string {
  if (namePattern.test(name)) return name
  throw new AgentError('internal', `${JSON.stringify(name)} is no name of a file of ours`)
}
