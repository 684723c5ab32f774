import { constants } from 'node:fs'
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  rename,
  rmdir,
  statfs,
  unlink,
} from 'node:fs/promises'
import type { DescriptorTools } from './descriptor-tools.ts'
import { errno } from './errno.ts'
import { NodeFile } from './node-file.ts'
import { statsOf } from './node-stats.ts'
import type { OpenOptions, StorageAccess, StorageFile, StorageFolder, StorageStats } from './storage.ts'

const { O_CREAT, O_DIRECT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/** An open folder of the kernel's. Names go through `/proc/self/fd`, as openat(2) would take them. */
export class NodeFolder implements StorageFolder {
  readonly path: string
  readonly #handle: FileHandle
  readonly #tools: DescriptorTools

  /** Takes `handle` over. */
  constructor(path: string, handle: FileHandle, tools: DescriptorTools) {
    this.path = path
    this.#handle = handle
    this.#tools = tools
  }

  async folder(name: string): Promise<StorageFolder | null> {
    const handle = await this.#in(name, (at) => openFolder(at, O_NOFOLLOW))
    return handle === null ? null : new NodeFolder(`${this.path}/${name}`, handle, this.#tools)
  }

  async makeFolder(name: string): Promise<void> {
    await this.#in(name, (at) => mkdir(at, { mode: 0o700 }))
  }

  async openFile(name: string, access: StorageAccess, { direct = false }: OpenOptions = {}): Promise<StorageFile> {
    // O_NONBLOCK: a pipe in the file's place must not stop us before we have seen that it is one.
    const flags = (access === 'read' ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK | (direct ? O_DIRECT : 0)
    const handle = await this.#in(name, (at) => open(at, flags))
    try {
      if (!(await handle.stat()).isFile()) throw errno('EINVAL', `${this.path}/${name} is not a regular file`)
      return new NodeFile(`${this.path}/${name}`, handle, direct, this.#tools, null)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async createFile(name: string): Promise<StorageFile> {
    const handle = await this.#in(name, (at) => open(at, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600))
    return new NodeFile(`${this.path}/${name}`, handle, false, this.#tools, null)
  }

  async stat(name: string): Promise<StorageStats | null> {
    try {
      return statsOf(await this.#in(name, (at) => lstat(at, { bigint: true })))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return null
      throw error
    }
  }

  async names(countMax?: number): Promise<string[]> {
    if (countMax === undefined) return await this.#inside((held) => readdir(`${held}/.`))
    return await this.#inside(async (held) => {
      const names: string[] = []
      // Closed by its own loop, also when it ends early.
      for await (const { name } of await opendir(`${held}/.`, { bufferSize: 256 })) {
        if (names.length === countMax) break
        names.push(name)
      }
      return names
    })
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#in(from, (at) => this.#in(to, (target) => rename(at, target)))
  }

  async link(name: string, to: StorageFolder, as: string): Promise<void> {
    if (!(to instanceof NodeFolder)) throw errno('EXDEV', `${to.path} is in another storage`)
    await this.#in(name, (at) => to.#in(as, (target) => link(at, target)))
  }

  async removeFile(name: string): Promise<void> {
    await this.#in(name, (at) => unlink(at))
  }

  async removeFolder(name: string): Promise<void> {
    await this.#in(name, (at) => rmdir(at))
  }

  async sync(): Promise<void> {
    await this.#handle.sync()
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await this.#inside((held) => statfs(`${held}/.`))
    return bavail * bsize
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  /** Does something with the kernel's path of a name. */
  async #in<Result>(name: string, action: (at: string) => Promise<Result>): Promise<Result> {
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
      throw errno('EINVAL', `${JSON.stringify(name)} is no name`)
    }
    return await this.#inside((held) => action(`${held}/${name}`))
  }

  /** Does something with the kernel's path of this folder; an error shows ours instead. */
  async #inside<Result>(action: (held: string) => Promise<Result>): Promise<Result> {
    // The number of a closed folder may be another file's by now.
    if (this.#handle.fd < 0) throw errno('EBADF', `${this.path} was closed`)
    const held = `/proc/self/fd/${this.#handle.fd}`
    try {
      return await action(held)
    } catch (error) {
      if (error instanceof Error) error.message = error.message.replaceAll(held, this.path)
      throw error
    }
  }
}

/** Opens a folder itself; `null` when there is none. */
export async function openFolder(path: string, flags = 0): Promise<FileHandle | null> {
  try {
    return await open(path, O_RDONLY | O_DIRECTORY | flags)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
