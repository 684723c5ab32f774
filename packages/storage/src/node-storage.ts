import { type BigIntStats, constants } from 'node:fs'
import { lstat, open, readFile } from 'node:fs/promises'
import type { DescriptorTools } from './descriptor-tools.ts'
import { errno } from './errno.ts'
import { NodeFile } from './node-file.ts'
import { NodeFolder, openFolder } from './node-folder.ts'
import type { OpenOptions, Storage, StorageAccess, StorageFile, StorageFolder } from './storage.ts'

const { O_DIRECT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/** The kernel's file systems and block devices. */
export class NodeStorage implements Storage {
  readonly #tools: DescriptorTools

  constructor(tools: DescriptorTools) {
    this.#tools = tools
  }

  async openFolder(path: string): Promise<StorageFolder | null> {
    const handle = await openFolder(path)
    return handle === null ? null : new NodeFolder(path, handle, this.#tools)
  }

  async openDevice(path: string, access: StorageAccess, { direct = false }: OpenOptions = {}): Promise<StorageFile> {
    // Looked at before it is opened: opening a tape or a terminal is an act of its own.
    if (!(await lstat(path)).isBlockDevice()) throw errno('ENOTBLK', `${path} is not a block device`)
    const flags = (access === 'read' ? O_RDONLY : O_RDWR | O_EXCL) | O_NONBLOCK | (direct ? O_DIRECT : 0)
    const handle = await open(path, flags)
    try {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isBlockDevice()) throw errno('ENOTBLK', `${path} is not a block device`)
      return new NodeFile(path, handle, direct, this.#tools, await deviceSizeBytes(path, stats))
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}

/** The kernel counts sectors of 512 bytes here, whatever the device's own are. */
async function deviceSizeBytes(path: string, { rdev }: BigIntStats): Promise<number> {
  const [major, minor] = [
    ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn),
    (rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n),
  ]
  const text = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')
  const sectors = Number(text.trim())
  if (!Number.isSafeInteger(sectors) || text.trim() === '') throw errno('EIO', `${path}: its size is not to be had`)
  return sectors * 512
}
