import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { AgentError } from '../agent-error.ts'
import { directAlignmentBytes, openReadBack, pageAlignedBuffer } from '../data-path/read-back.ts'
import { readUpTo } from '../data-path/read-up-to.ts'
import { errnoOf, ioError } from '../io-error.ts'
import { notOurs, openFolder } from './open-folder.ts'

/** Called before each change that a folder makes on disk; a test stops the world there to play a crash. */
export type BeforeChange = (what: string) => Promise<void>

/** No folder of ours has more entries. */
const entriesMax = 10_000

/** What stat(2) counts allocated room in. */
const blockSizeBytes = 512

/** Names that we make or take: no separators, no leading dot. */
const namePattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/**
 * One folder, held open, so that everything done in it stays in it, whatever happens to its path meanwhile: names go
 * through `/proc/self/fd`, as openat(2) would take them. No link is followed below it. All methods throw AgentError:
 * `io`, `no-space`, or `datastore-mismatch` where something of another kind has a name that should be ours.
 */
export class Folder implements AsyncDisposable {
  /** The path, for texts. */
  readonly path: string
  readonly #handle: FileHandle
  /** The same folder as the kernel knows it while it is open. */
  readonly #held: string
  readonly #beforeChange: BeforeChange

  private constructor(path: string, handle: FileHandle, beforeChange: BeforeChange) {
    this.path = path
    this.#handle = handle
    this.#held = `/proc/self/fd/${handle.fd}`
    this.#beforeChange = beforeChange
  }

  /** Opens a folder by its path, which may lead over links that an administrator made; `null` when there is none. */
  static async open(path: string, beforeChange: BeforeChange): Promise<Folder | null> {
    const handle = await openFolder(path, path, O_RDONLY | O_DIRECTORY)
    return handle === null ? null : new Folder(path, handle, beforeChange)
  }

  /** Opens the folder `name` in this one; `null` when there is none. A link is refused. */
  async folder(name: string): Promise<Folder | null> {
    const path = `${this.path}/${name}`
    const handle = await openFolder(this.at(name), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    return handle === null ? null : new Folder(path, handle, this.#beforeChange)
  }

  /** Makes the folder `name` in this one for its owner alone, and opens it; durable when it resolves. */
  async makeFolder(name: string): Promise<Folder> {
    await this.#change(`make ${name}/`, async () => {
      await mkdir(this.at(name), { mode: 0o700 })
      await this.#handle.sync()
    })
    const folder = await this.folder(name)
    if (folder === null) throw new AgentError('datastore-mismatch', `${this.path}/${name}: vanished while it was made`)
    return folder
  }

  /** Where `name` in this folder is reached. Use it at once or while this folder is open; it is no path for texts. */
  at(name: string): string {
    this.#checkOpen()
    if (!namePattern.test(name)) {
      throw new AgentError('internal', `${JSON.stringify(name)} is no name of a file of ours`)
    }
    return `${this.#held}/${name}`
  }

  /** `text` with the paths of `at` put back into readable ones. */
  readable(text: string): string {
    return text.replaceAll(this.#held, this.path)
  }

  /** The whole of a file; `null` when it is not there. */
  async read(name: string, sizeMax: number): Promise<Buffer | null> {
    try {
      await using file = await open(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      const stats = await file.stat()
      if (!stats.isFile()) throw notOurs(`${this.path}/${name}`, 'a regular file')
      if (stats.size > sizeMax) {
        throw new AgentError('datastore-mismatch', `${this.path}/${name}: has more than ${sizeMax} bytes`)
      }
      // Not `readFile`, which would follow a file that grows meanwhile.
      return Buffer.from(await readUpTo(file, stats.size))
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
      const { handle } = await openReadBack(this.at(name), 0)
      await using file = handle
      const { size } = await file.stat()
      if (size > sizeMax)
        throw new AgentError('datastore-mismatch', `${this.path}/${name}: has more than ${sizeMax} bytes`)
      const bytes = pageAlignedBuffer(Math.ceil((size + 1) / directAlignmentBytes) * directAlignmentBytes)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
      return bytes.subarray(0, bytesRead)
    } catch (cause) {
      throw this.#error(`cannot read ${name} back`, cause)
    }
  }

  /** Puts a file into place whole: written under another name, synced, renamed, the folder synced. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const fresh = freshName(name)
    await this.remove(fresh)
    await this.#change(`write ${fresh}`, async () => {
      await using file = await open(this.at(fresh), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      await file.writeFile(bytes)
      await file.sync()
    })
    await this.#change(`rename ${fresh}`, () => rename(this.at(fresh), this.at(name)))
    await this.sync()
  }

  /** Makes a new file that reads as `sizeBytes` zeros and takes no room; durable when it resolves. */
  async makeHole(name: string, sizeBytes: number): Promise<void> {
    await this.#change(`make ${name}`, async () => {
      await using file = await open(this.at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      await file.truncate(sizeBytes)
      await file.sync()
    })
    await this.sync()
  }

  /** Removes a file; `false` when there was none: a folder of that name is not ours and stays. Durable only after `sync`. */
  async remove(name: string): Promise<boolean> {
    const stats = await this.#look(name)
    if (stats === null || stats.isDirectory()) return false
    await this.#change(`remove ${name}`, () => unlink(this.at(name)))
    return true
  }

  /** Removes the folder `name`, which must be empty; `false` when other files keep it, or it is no folder or not there. */
  async removeFolder(name: string): Promise<boolean> {
    if ((await this.#look(name)) === null) return false
    try {
      await this.#beforeChange(`remove ${name}/`)
      await rmdir(this.at(name))
      await this.#handle.sync()
      return true
    } catch (cause) {
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoOf(cause) ?? '')) return false
      throw this.#error(`cannot remove ${name}`, cause)
    }
  }

  /** Makes what was removed here stay removed after a power loss. */
  async sync(): Promise<void> {
    await this.#change('sync', () => this.#handle.sync())
  }

  /** Whether anything has this name. */
  async has(name: string): Promise<boolean> {
    return (await this.#look(name)) !== null
  }

  /** The names of all that lies in the folder. */
  async names(): Promise<string[]> {
    this.#checkOpen()
    try {
      const names = await readdir(`${this.#held}/.`)
      if (names.length <= entriesMax) return names
    } catch (cause) {
      throw this.#error('cannot list the folder', cause)
    }
    throw new AgentError('datastore-mismatch', `${this.path}: has more than ${entriesMax} entries`)
  }

  /** The files in the folder with their sizes; other things are left out. */
  async files(): Promise<{ name: string; sizeBytes: number; allocatedBytes: number }[]> {
    const files: { name: string; sizeBytes: number; allocatedBytes: number }[] = []
    for (const name of await this.names()) {
      const stats = await lstat(`${this.#held}/${name}`).catch(() => null)
      if (stats?.isFile() !== true) continue
      files.push({ name, sizeBytes: stats.size, allocatedBytes: stats.blocks * blockSizeBytes })
    }
    return files
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  /** The number of a closed folder may be another file's by now. */
  #checkOpen(): void {
    if (this.#handle.fd < 0) throw new AgentError('internal', `${this.path}: was closed`)
  }

  async #look(name: string) {
    try {
      return await lstat(this.at(name))
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return null
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
    return ioError(`${this.path}: ${what}`, cause)
  }
}

/** What a file is called while it is written. */
export function freshName(name: string): string {
  return `${name}.new`
}
